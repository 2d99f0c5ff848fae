import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { Log } from '../../../../main/lib/log.ts'
import { FileFacts } from '../../../../main/models/origins/facts.ts'
import { scanFolder } from '../../../../main/models/origins/folder.ts'
import { scanOllama } from '../../../../main/models/origins/ollama.ts'
import { ScannedOrigin, Turns } from '../../../../main/models/origins/scanned.ts'
import { makeOllamaStore, place } from '../../../helpers/foreign-stores.ts'
import { criaFile } from '../../../helpers/library.ts'
import { temporaryFolder } from '../../../helpers/temporary-folder.ts'
import { addCria, inspectTemplates, name, openLibrary } from '../setup.ts'

const run = promisify(execFile)
const makePipe = (file: string) => run('mkfifo', [file])
const unix = process.platform !== 'win32'
const blobsOf = (root: string) => path.join(root, 'blobs')

interface Manifest {
  config: { digest: string }
  layers: { mediaType: string; digest: string }[]
}

/** A store with one model, and where the blob of a kind lies in it. */
async function ollamaStore(root: string): Promise<(kind: string) => string> {
  await makeOllamaStore(root, 'registry.ollama.ai/library/bad/latest', 'Be kind.')
  const manifest = JSON.parse(await readFile(path.join(root, 'manifests/registry.ollama.ai/library/bad/latest'), 'utf8')) as Manifest
  return (kind) => {
    const digest = kind === 'config' ? manifest.config.digest : manifest.layers.find(({ mediaType }) => mediaType.endsWith(`.${kind}`))?.digest
    return path.join(blobsOf(root), (digest ?? '').replace(':', '-'))
  }
}
const scan = (root: string) => scanOllama(root, 'ollama', inspectTemplates)(AbortSignal.timeout(10_000))

describe.runIf(unix)("in another's store", () => {
  test.each(['config', 'template', 'model'])('a pipe in place of the %s is never opened', async (kind) => {
    await using folder = await temporaryFolder()
    const file = (await ollamaStore(folder.path))(kind)
    await rm(file)
    await makePipe(file)
    const { found, warnings } = await scan(folder.path)
    // Nothing is said of weights that are no longer what the manifest says but that they are not there to be run.
    if (kind === 'model') expect(found).toMatchObject([{ problem: { state: 'incomplete' } }])
    else expect([found, warnings]).toEqual([[], [expect.stringContaining('not a file')]])
  })

  test('a pipe in place of a manifest is never opened', async () => {
    await using folder = await temporaryFolder()
    await ollamaStore(folder.path)
    await makePipe(path.join(folder.path, 'manifests/registry.ollama.ai/library/bad/other'))
    expect((await scan(folder.path)).found).toHaveLength(1)
  })

  test.each(['config', 'template'])('a %s that is a link to a file of somebody else shows nothing of it', async (kind) => {
    await using folder = await temporaryFolder()
    const file = (await ollamaStore(path.join(folder.path, 'store')))(kind)
    const secret = path.join(folder.path, 'secret')
    await writeFile(secret, '{"model_family": "a secret"}')
    await rm(file)
    await symlink(secret, file)
    const { found, warnings } = await scan(path.join(folder.path, 'store'))
    expect(JSON.stringify([found, warnings])).not.toContain('a secret')
    expect([found, warnings]).toEqual([[], [expect.stringContaining('a link to something else')]])
  })

  test('blobs that are links to the right files, as after a move to another disk, are as good as the files', async () => {
    await using folder = await temporaryFolder()
    const root = path.join(folder.path, 'store')
    await ollamaStore(root)
    await mkdir(path.join(folder.path, 'disk'))
    for (const blob of await readdir(blobsOf(root))) {
      await place(path.join(blobsOf(root), blob), path.join(folder.path, 'disk', blob))
      await rm(path.join(blobsOf(root), blob))
      await symlink(path.join(folder.path, 'disk', blob), path.join(blobsOf(root), blob))
    }
    const { found, warnings } = await scan(root)
    expect([found.length, warnings]).toEqual([1, []])
  })
})

describe.runIf(unix)('a folder', () => {
  test('with pipes, devices and loops of links named like models gives the one that is one', async () => {
    await using folder = await temporaryFolder()
    const at = (file: string) => path.join(folder.path, file)
    await makePipe(at('pipe.gguf'))
    await symlink(at('pipe.gguf'), at('linked-pipe.gguf'))
    await symlink('/dev/zero', at('device.gguf'))
    await symlink(at('loop-b.gguf'), at('loop-a.gguf'))
    await symlink(at('loop-a.gguf'), at('loop-b.gguf'))
    await place(criaFile, at('cria.gguf'))
    const { found } = await scanFolder(folder.path, 'mine', new FileFacts(inspectTemplates))(AbortSignal.timeout(10_000))
    expect(found.map((entry) => entry.layers[0]?.file)).toEqual([at('cria.gguf')])
  })

  test('with line breaks in its names gives valid names, and lines of the log stay single', async () => {
    await using folder = await temporaryFolder()
    await place(criaFile, path.join(folder.path, 'a\nb', 'ci\nao.gguf'))
    await writeFile(path.join(folder.path, 'x\n2026-01-01T00:00:00.000Z ERROR forged.gguf'), 'no model')
    const lines: string[] = []
    const origin = new ScannedOrigin({
      id: 'mine',
      scan: scanFolder(folder.path, 'mine', new FileFacts(inspectTemplates)),
      turns: new Turns(1),
      log: new Log('debug', (line) => lines.push(line)),
    })
    expect((await origin.list()).map((entry) => entry.name)).toEqual([expect.objectContaining({ namespace: 'a-b', model: 'ci-ao' })])
    expect(lines).toEqual([expect.stringContaining('forged.gguf is left out')])
    expect(lines[0]).not.toContain('\n')
  })
})

describe.runIf(unix)('in our own store', () => {
  test('a loop of links for a manifest keeps no other model away, and no blob is removed', async () => {
    await using test = await openLibrary()
    await addCria(test)
    const folder = path.join(test.root, 'manifests/registry.ollama.ai/library/loop')
    await mkdir(folder)
    await symlink('latest', path.join(folder, 'latest'))
    expect((await test.library.list()).map((model) => model.name.model)).toEqual(['cria'])
    await expect(test.library.resolve(name('loop'))).rejects.toThrow(/cannot be read \(ELOOP\); delete the model/)
    await expect(test.store.prune()).rejects.toMatchObject({ code: 'conflict' })
    expect(await test.library.delete(name('loop'))).toBe(true)
    await expect(test.store.prune()).resolves.toEqual([])
  })

  test('a pipe in place of a blob is never opened', async () => {
    await using test = await openLibrary()
    await addCria(test)
    const entry = await test.library.find(name('cria'))
    const config = test.store.blobs.path(entry?.configBlob.digest ?? '')
    await rm(config)
    await makePipe(config)
    await using again = await openLibrary({ root: test.root })
    expect(await again.library.list()).toEqual([])
    await expect(again.library.resolve(name('cria'))).rejects.toThrow('not a file')
  })
})
