import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = path.resolve(import.meta.dirname, '../..')
/** Where tests and the benchmark keep what is dear to make again: sources, vocabularies, random models. */
export const cacheFolder = path.join(root, 'node_modules/.cache/paddock')

/** True where a file of llama.cpp's source can be had: the runtime package's bundle and git are there. */
export async function hasLlamaSource(): Promise<boolean> {
  if (!existsSync(path.join(root, 'node_modules/node-llama-cpp/llama/gitRelease.bundle'))) return false
  return await run('git', ['--version']).then(
    () => true,
    () => false,
  )
}

/** Makes a folder or file under a temporary name and renames it: two test workers may want it at the same time. */
async function once(target: string, make: (temporary: string) => Promise<unknown>): Promise<string> {
  if (existsSync(target)) return target
  await mkdir(path.dirname(target), { recursive: true })
  const folder = await mkdtemp(path.join(path.dirname(target), '.making-'))
  try {
    const temporary = path.join(folder, path.basename(target))
    await make(temporary)
    await rename(temporary, target).catch((error) => {
      if (!existsSync(target)) throw error
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return target
}

/** One file of the llama.cpp release that the runtime was built from, copied out of the package's source bundle. */
export async function llamaSourceFile(file: string): Promise<string> {
  const bundle = path.join(root, 'node_modules/node-llama-cpp/llama/gitRelease.bundle')
  const repository = await once(path.join(cacheFolder, 'llama.cpp.git'), (folder) => run('git', ['clone', '--quiet', '--bare', bundle, folder]))
  return await once(path.join(cacheFolder, 'llama.cpp', file), async (temporary) => {
    const { stdout } = await run('git', ['--git-dir', repository, 'show', `HEAD:${file}`], { encoding: 'buffer', maxBuffer: 1 << 28 })
    await writeFile(temporary, stdout)
  })
}
