import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { brokenFiles, corruptedFiles } from '../helpers/broken-gguf.ts'
import { addEndlessModel } from '../helpers/endless.ts'
import { exchange, get, post } from '../helpers/http.ts'
import { addModel, createFrom, criaFile } from '../helpers/library.ts'
import { long } from '../helpers/long.ts'
import { makeModel, shapes } from '../helpers/make-gguf.ts'
import { type Program, startProgram } from '../helpers/program.ts'
import { temporaryFolder } from '../helpers/temporary-folder.ts'

const question = { model: 'cria', prompt: 'What is the capital of France?', stream: false, options: { temperature: 0 } }
let program: Program

beforeAll(async () => {
  program = await startProgram()
  await addModel(program.url, 'cria', criaFile)
  await addEndlessModel(program.url)
})
afterAll(() => program?.[Symbol.asyncDispose]())

async function expectAnswers(): Promise<void> {
  expect(await post(program.url, '/api/generate', question)).toMatchObject({ status: 200, body: { response: 'The capital of France is Paris.' } })
}

describe('a body', () => {
  const routes = [
    '/api/generate',
    '/api/chat',
    '/api/embed',
    '/api/show',
    '/api/create',
    '/api/copy',
    '/v1/chat/completions',
    '/v1/completions',
    '/v1/embeddings',
  ]
  const bodies: Record<string, string | Uint8Array> = {
    'that is a list': '[]',
    'that is a number': '5',
    'that is cut off': '{"model":"cria","prompt":"a',
    'that is not UTF-8': Buffer.concat([Buffer.from('{"model":"'), Buffer.from([0xff, 0xfe, 0xc3, 0x28]), Buffer.from('"}')]),
    'that nests a hundred thousand lists': `{"model":${'['.repeat(100_000)}`,
    'that is a gzip file': Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]),
    'with a model name of a megabyte': JSON.stringify({
      model: 'a'.repeat(1 << 20),
      source: 'a',
      destination: 'b',
      messages: [{ role: 'user', content: 'a' }],
      input: 'a',
    }),
    'with a null character in the name': JSON.stringify({
      model: 'cr\u0000ia',
      source: 'cr\u0000ia',
      destination: 'b',
      messages: [{ role: 'user', content: 'a' }],
      input: 'a',
    }),
    'with a path as the name': JSON.stringify({
      model: '../../etc/passwd',
      source: '../../etc/passwd',
      destination: 'b',
      messages: [{ role: 'user', content: 'a' }],
      input: 'a',
    }),
    'with objects for texts': JSON.stringify({ model: { a: 1 }, source: {}, messages: {}, input: {} }),
  }
  for (const [name, body] of Object.entries(bodies)) {
    test(`${name} is refused as a bad request by every route`, async () => {
      const answers = await Promise.all(routes.map(async (path) => ({ path, ...(await exchange(program.url, { method: 'POST', path, body })) })))
      for (const { path, status, text } of answers) {
        expect([400, 404], `${path}: ${text}`).toContain(status)
        expect(JSON.parse(text), path).toHaveProperty('error')
      }
    })
  }

  test('whose length is a lie does not hold the server up', async () => {
    const { hostname, port } = new URL(program.url)
    const socket = connect(Number(port), hostname)
    socket.on('error', () => undefined)
    socket.write('POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{"model":')
    await once(socket, 'connect')
    await expectAnswers()
    socket.destroy()
  })

  test('that trickles in byte by byte is answered in the end', async () => {
    const { hostname, port } = new URL(program.url)
    const body = JSON.stringify({ ...question, options: { temperature: 0, num_predict: 1 } })
    const socket = connect(Number(port), hostname)
    socket.setNoDelay(true)
    socket.write(`POST /api/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`)
    for (const byte of body) {
      socket.write(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
    let answer = ''
    for await (const chunk of socket) answer += chunk
    expect(answer).toMatch(/^HTTP\/1\.1 200[\s\S]*"done":true/)
  })

  test('that sets the prototype sets nothing', async () => {
    const answer = await exchange(program.url, {
      method: 'POST',
      path: '/api/generate',
      body: '{"__proto__":{"stream":false},"model":"cria","constructor":{"prototype":{"x":1}}}',
    })
    expect(answer.status).toBe(200)
    await expectAnswers()
  })
})

describe('a client', () => {
  test('that does not read its stream keeps nobody else waiting, and leaves nothing behind', async () => {
    const { hostname, port } = new URL(program.url)
    const body = JSON.stringify({ model: 'endless', prompt: 'a', options: { temperature: 0, num_predict: -1 } })
    const socket = connect(Number(port), hostname)
    socket.pause()
    socket.write(`POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    await expect
      .poll(async () => (await get<{ models: { name: string }[] }>(program.url, '/api/ps')).models.map(({ name }) => name))
      .toContain('endless:latest')
    await expectAnswers()
    socket.destroy()
    await expectUnloads('endless')
  })

  test('that hangs up during each phase leaves nothing behind', async () => {
    for (const afterMs of [0, 5, 20, 60]) {
      const leave = AbortSignal.timeout(afterMs)
      await post(program.url, '/api/generate', { model: 'endless', prompt: 'word '.repeat(1500), options: { num_predict: -1 } }, leave).catch(() => undefined)
    }
    await expectUnloads('endless')
  })
})

/** A lease that was not given back would keep the model in memory. */
async function expectUnloads(model: string): Promise<void> {
  await post(program.url, '/api/generate', { model, keep_alive: 0 })
  await expect
    .poll(async () => (await get<{ models: { name: string }[] }>(program.url, '/api/ps')).models.map(({ name }) => name), { timeout: 10_000 })
    .not.toContain(`${model}:latest`)
}

test('a port that is taken ends the start with one line that names it', async () => {
  await using taken = createServer((socket) => socket.destroy())
  taken.listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const address = taken.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  await expect(startProgram({ env: { OLLAMA_HOST: `127.0.0.1:${port}` } })).rejects.toThrow(
    new RegExp(`ended \\([1-9]\\d*\\)[^]*the address 127.0.0.1:${port} is in use`),
  )
})

test("a models' folder that cannot be made is told by name", async () => {
  await using folder = await temporaryFolder()
  const file = path.join(folder.path, 'a-file')
  await writeFile(file, '')
  const models = path.join(file, 'models')
  const outcome = await startProgram({ env: { OLLAMA_MODELS: models } }).then(
    async (started) => {
      await using own = started
      return JSON.stringify(await createFrom(own.url, 'cria', criaFile))
    },
    (error: Error) => error.message,
  )
  expect(outcome).toContain('a-file')
})

describe('a model file that', () => {
  const folder = temporaryFolder()
  let good: Buffer
  beforeAll(async () => {
    const file = path.join((await folder).path, 'good.gguf')
    await makeModel(file, { shape: shapes.tiny, type: 'f16' })
    good = await readFile(file)
  })
  afterAll(async () => (await folder)[Symbol.asyncDispose]())

  /** Creating it fails with a text, or the model that comes of it answers or fails with a text. */
  async function outcome(bytes: Uint8Array): Promise<string> {
    const created = await createFrom(program.url, 'broken', bytes)
    if (created.status !== 200) return `create ${created.status}: ${String(created.body.error)}`
    const answer = await post(program.url, '/api/generate', {
      model: 'broken',
      prompt: 'a',
      stream: false,
      keep_alive: 0,
      options: { num_predict: 2, num_ctx: 256 },
    })
    return answer.status === 200 ? 'works' : `generate ${answer.status}: ${String(answer.body.error)}`
  }

  test('is whole works', async () => {
    expect(await outcome(good)).toBe('works')
  })

  test('is broken in any known way is refused with a reason, and the server goes on', async () => {
    const outcomes = new Map<string, string>()
    for (const [name, bytes] of brokenFiles(good)) outcomes.set(name, await outcome(bytes))
    const silent = [...outcomes].filter(([, result]) => !/^works$|^(create|generate) [45]\d\d: .{8,}/.test(result) || /undefined|internal error/.test(result))
    expect(silent).toEqual([])
    expect([...outcomes].filter(([, result]) => result === 'works').map(([name]) => name)).toEqual(
      ['says tokenizer.ggml.eos_token_id is 4294967280'].filter((name) => outcomes.get(name) === 'works'),
    )
    await expectAnswers()
  }, 120_000)

  test(
    'has random bytes in its header never takes the server down',
    async () => {
      for (const bytes of corruptedFiles(good, long ? 300 : 25)) expect(await outcome(bytes)).toMatch(/^works$|^(create|generate) [45]\d\d: ./)
      await expectAnswers()
    },
    long ? 1_800_000 : 120_000,
  )
})
