import { existsSync } from 'node:fs'
import { appendFile, readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digestOf } from '../../../main/models/blobs.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'
import { run as runLine } from './fake-terminal.ts'

const criaDigest = digestOf(await readFile(criaFile))
let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile, { parameters: { temperature: 0, num_predict: 40 } })
})
afterAll(() => server[Symbol.asyncDispose]())

function run(...argv: string[]) {
  return runLine(argv, { url: server.url })
}

describe('list', () => {
  test('shows what is installed, in the columns of Ollama', async () => {
    const { output } = await run('list')
    const lines = output.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^NAME {2,}ID {2,}SIZE {2,}MODIFIED$/)
    expect(lines[1]).toMatch(/^cria:latest +[0-9a-f]{12} +3\.\d MB +\S.* ago$/)
    expect(output).toContain('smollm2:135m')
  })

  test('ls PREFIX shows the names that begin so, in any case', async () => {
    expect((await run('ls', 'CR')).output.match(/^\S+/gm)).toEqual(['NAME', 'cria:latest'])
  })
})

describe('show', () => {
  test('shows a model at a glance', async () => {
    const { output } = await run('show', 'cria')
    expect(output).toMatch(/^ {2}Model\n {4}architecture {2,}llama\n/)
    expect(output).toMatch(/\n {2}Capabilities\n( {4}\w+\n)* {4}thinking\n/)
    expect(output).toMatch(/\n {2}Parameters\n {4}num_predict {2,}40\n {4}temperature {2,}0\n/)
  })

  test('shows an excerpt of a license', async () => {
    expect((await run('show', 'smollm2:135m')).output).toMatch(/\n {2}License\n {4}Apache License\n {4}Version 2\.0, January 2004\n {4}\.\.\.\n/)
  })

  test('--parameters shows them as they stand in a Modelfile', async () => {
    expect((await run('show', 'cria', '--parameters')).output).toBe(`${'num_predict'.padEnd(30)} 40\n${'temperature'.padEnd(30)} 0\n`)
  })

  test('--verbose shows what the file says and its tensors', async () => {
    const { output } = await run('show', 'cria', '-v')
    expect(output).toMatch(/\n {2}Metadata\n/)
    expect(output).toMatch(/\n {4}token_embd\.weight {2,}\S+ {2,}\[\d+ \d+\]\n/)
  })
})

describe('run', () => {
  test('answers one question and ends', async () => {
    const { code, output } = await run('run', 'cria', 'What is', '2 + 3?', '--think=false')
    expect({ code, output }).toEqual({ code: 0, output: '2 + 3 = 10\n' })
  })

  test('puts what is piped in before the prompt', async () => {
    expect((await runLine(['run', 'cria', '3?', '--think=false'], { url: server.url, piped: 'What is 2 +' })).output).toBe('2 + 3 = 10\n')
  })

  test('shows thinking apart from the reply', async () => {
    const { output } = await run('run', 'cria', 'What is the weather in Paris?', '--think')
    expect(output).toMatch(/^Thinking\.\.\.\n[^<]+\n\.\.\.done thinking\.\n\n[^<]+\n$/)
  })

  test('--hidethinking shows the reply only', async () => {
    expect((await run('run', 'cria', 'What is the weather in Paris?', '--hidethinking')).output).not.toContain('hinking')
  })

  test('--verbose writes counts and times beside the reply', async () => {
    const { output, errors } = await run('run', 'cria', 'Hi', '--verbose', '--think=false')
    expect(errors).toMatch(/total duration: .*\n[\s\S]*eval rate: +[\d.]+ tokens\/s\n/)
    expect(output).not.toContain('duration')
  })

  test('--format with a schema gives JSON that fits it', async () => {
    const schema = { type: 'object', properties: { a: { type: 'boolean' } }, required: ['a'], additionalProperties: false }
    const { output } = await run('run', 'cria', 'Hi', '--think=false', '--format', JSON.stringify(schema))
    expect(JSON.parse(output)).toEqual({ a: expect.any(Boolean) })
  })

  test('an embedding model writes a vector', async () => {
    const { output } = await run('run', 'all-minilm', 'why is the sky blue?', '--dimensions', '8')
    expect(JSON.parse(output)).toHaveLength(8)
  })

  test('an embedding model without a text says what it needs', async () => {
    expect(await run('run', 'all-minilm')).toMatchObject({ code: 1, errors: 'Error: embedding models need a text: paddock run all-minilm "your text here"\n' })
  })

  test('a model that does not think is asked without it', async () => {
    const { code, errors } = await run('run', 'smollm2:135m', '--think', '--keepalive', '0', '--format', '{"type":"boolean"}', 'Is water wet?')
    expect({ code, errors }).toMatchObject({ code: 0, errors: expect.stringContaining('Warning: smollm2:135m does not think\n') })
  })

  test('a model that is missing is named with ways to get one', async () => {
    const { code, errors } = await run('run', 'llama3.2', 'Hi')
    expect(code).toBe(1)
    expect(errors).toContain(`Error: model 'llama3.2' is not here: get it with "paddock pull llama3.2", or run one that is here: `)
    expect(errors).toContain('cria:latest')
  })
})

describe('ps and stop', () => {
  test('a model that ran is listed until it is stopped', async () => {
    await run('run', 'cria', 'Hi', '--keepalive', '5m')
    expect((await run('ps')).output).toMatch(
      /^NAME +ID +SIZE +PROCESSOR +CONTEXT +UNTIL\n(.*\n)*cria:latest +[0-9a-f]{12} +\d.* +100% CPU +2048 +4 minutes from now\n/,
    )
    expect(await run('stop', 'cria')).toEqual({ code: 0, output: '', errors: '' })
    await expect.poll(async () => (await run('ps')).output).not.toContain('cria')
  })

  test('stop names a model that is not there', async () => {
    expect(await run('stop', 'nope')).toEqual({ code: 1, output: '', errors: 'Error: couldn\'t find model "nope" to stop\n' })
  })
})

describe('cp and rm', () => {
  test('a copy can be made and removed', async () => {
    expect((await run('cp', 'cria', 'twin')).output).toBe("copied 'cria' to 'twin'\n")
    expect((await run('list', 'twin')).output).toContain('twin:latest')
    expect((await run('rm', 'twin')).output).toBe("deleted 'twin'\n")
    expect((await run('list', 'twin')).output).not.toContain('twin:latest')
  })

  test('rm stops at the first that is not there, and names it', async () => {
    expect(await run('rm', 'nope', 'cria')).toEqual({ code: 1, output: '', errors: "Error: model 'nope' not found\n" })
    expect((await run('list', 'cria')).output).toContain('cria:latest')
  })
})

test.each(['pull', 'push'])('%s says what the server says', async (command) => {
  const { code, errors } = await run(command, '127.0.0.1:9/library/nope', '--insecure')
  expect(code).toBe(1)
  expect(errors).toMatch(/\nError: \S/)
})

test('version is the server’s, with a warning where the program is another', async () => {
  expect(await run('version')).toEqual({ code: 0, output: 'paddock version is 0.0.0-test\n', errors: 'Warning: client version is 1.2.3\n' })
})

describe('fit', () => {
  test('says whether a model fits, what it takes and how fast it is', async () => {
    const { code, output } = await run('fit', 'smollm2:135m', '--num-ctx', '2048')
    expect(code).toBe(0)
    expect(output).toMatch(/^smollm2:135m fits, on the processor\n\nweights +\d+ MB *\ncontext +\d+ MB \(2048 tokens; up to 8192 fit\) *\n/)
    expect(output).toMatch(/\nspeed +about \d+(\.\d)? tokens\/s \(.*\) *\n$/)
  })
})

describe('verify and prune', () => {
  test('verify reads a model again and counts what is whole', async () => {
    expect(await run('verify', 'cria')).toMatchObject({ code: 0, output: expect.stringMatching(/^[3-9] files intact, 0 not\n$/) })
  })

  test('verify names a damaged file, and fails', async () => {
    await using other = await startTestServer()
    await addModel(other.url, 'cria', criaFile)
    const file = other.services.library.store.blobs.path(criaDigest)
    await appendFile(file, 'x')
    const { code, output, errors } = await runLine(['verify', 'cria', '--remove-damaged'], { url: other.url })
    expect(code).toBe(1)
    expect(output).toContain(`damaged and removed: ${file} (cria:latest)\n`)
    expect(errors).toContain('pull the models named above again')
    expect(existsSync(file)).toBe(false)
  })

  test('prune says that there is nothing to remove', async () => {
    expect(await run('prune', '--dry-run')).toMatchObject({ code: 0, output: 'nothing to remove\n' })
  })
})
