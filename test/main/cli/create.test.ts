import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findFiles, resolvePath } from '../../../main/cli/local-models.ts'
import { post } from '../../helpers/http.ts'
import { criaFile } from '../../helpers/library.ts'
import { type TemporaryFolder, temporaryFolder } from '../../helpers/temporary-folder.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'
import { run } from './fake-terminal.ts'

let server: TestServer
let folder: TemporaryFolder
beforeAll(async () => {
  server = await startTestServer()
  folder = await temporaryFolder()
  await copyFile(criaFile, path.join(folder.path, 'cria.gguf'))
})
afterAll(async () => {
  await folder[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

async function create(model: string, modelfile: string, ...more: string[]) {
  const file = path.join(folder.path, `${model}.modelfile`)
  await writeFile(file, modelfile)
  return run(['create', model, '-f', file, ...more], { url: server.url })
}

describe('create', () => {
  test('uploads the file beside the Modelfile and makes the model', async () => {
    const { code, errors } = await create(
      'pirate',
      'FROM ./cria.gguf\nSYSTEM """You are\na pirate."""\nPARAMETER temperature 0\nPARAMETER stop a\nPARAMETER stop "b "\nMESSAGE user Hi\nMESSAGE assistant Arr\nLICENSE MIT\n',
    )
    expect({ code, last: errors.trim().split('\n').at(-1) }).toEqual({ code: 0, last: 'success' })
    const { body } = await post(server.url, '/api/show', { model: 'pirate' })
    expect(body).toMatchObject({
      system: 'You are\na pirate.',
      license: 'MIT',
      messages: [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'Arr' },
      ],
    })
    expect(String(body.parameters).split('\n').sort()).toEqual([`${'stop'.padEnd(30)} "a"`, `${'stop'.padEnd(30)} "b "`, `${'temperature'.padEnd(30)} 0`])
  })

  test('makes a model from one that is installed', async () => {
    expect(await create('helper', 'FROM all-minilm\n')).toMatchObject({ code: 0 })
  })

  test('reads a Modelfile from a pipe', async () => {
    const piped = `FROM ${path.join(folder.path, 'cria.gguf')}\n`
    expect(await run(['create', 'piped', '-f', '-'], { url: server.url, piped })).toMatchObject({ code: 0 })
  })

  test('takes the model of a folder', async () => {
    expect(await create('folder', 'FROM .\n')).toMatchObject({ code: 0 })
  })

  test.each([
    ['no FROM', 'SYSTEM x\n', 'no FROM line'],
    ['a wrong line', 'FROM x\nNOPE y\n', '(line 2): command must be one of'],
    ['a path that is not there', 'FROM ./nope.gguf\n', 'there is no file or folder'],
    ['an adapter that is not there', 'FROM all-minilm\nADAPTER ./nope\n', 'there is no file or folder'],
    ['an unknown parameter', 'FROM ./cria.gguf\nPARAMETER temprature 1\n', "unknown parameter 'temprature', did you mean 'temperature'?"],
    ['a template that is broken', 'FROM ./cria.gguf\nTEMPLATE {{ .Prompt\n', 'template error: template: :1: unclosed action'],
    ['a model of a registry that does not answer', 'FROM 127.0.0.1:9/library/nope\n', 'pull model manifest: '],
  ])('%s is an error', async (_what, modelfile, message) => {
    const { code, errors } = await create('broken', modelfile)
    expect(code).toBe(1)
    expect(errors).toContain(message)
    expect((await run(['list', 'broken'], { url: server.url })).output).not.toContain('broken')
  })

  test('a Modelfile that is not there is named', async () => {
    const file = path.join(folder.path, 'nope')
    expect(await run(['create', 'x', '-f', file], { url: server.url })).toEqual({ code: 1, output: '', errors: `Error: there is no Modelfile at ${file}\n` })
  })
})

describe('findFiles()', () => {
  test('prefers safetensors and takes what belongs to them', async () => {
    await using place = await temporaryFolder()
    const names = ['model-00001.safetensors', 'config.json', 'tokenizer.model', 'notes.txt', 'old.gguf']
    for (const name of names) await writeFile(path.join(place.path, name), name)
    expect((await findFiles(place.path))?.map(({ name }) => name)).toEqual(['model-00001.safetensors', 'config.json', 'tokenizer.model'])
  })

  test('says so when a folder holds no model', async () => {
    await using place = await temporaryFolder()
    await mkdir(path.join(place.path, 'empty'))
    await expect(findFiles(path.join(place.path, 'empty'))).rejects.toThrow('holds no model')
  })

  test('finds nothing at a name', async () => {
    expect(await findFiles('/nowhere/smollm2:135m')).toBeNull()
  })
})

test('resolvePath() counts from the Modelfile and knows the home folder', () => {
  expect(resolvePath('./a.gguf', '/models')).toBe(path.resolve('/models/a.gguf'))
  expect(resolvePath('~/a.gguf', '/models')).not.toContain('~')
  expect(resolvePath('~nobody', '/models')).toBe(path.resolve('/models/~nobody'))
})
