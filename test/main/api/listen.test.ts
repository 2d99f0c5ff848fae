import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { listen } from '../../../main/api/listen.ts'
import { Log } from '../../../main/lib/log.ts'
import { api, doneEvent, promptEvent } from './services.ts'

const log = new Log('error')
const local = { host: '127.0.0.1', port: 0 }
const chatBody = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x' }] })

/** What a raw request is answered with, as bytes of the wire. */
async function raw(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.end(request)
  return text(socket)
}

test('a server that listens answers at its url, and no more once it is disposed', async () => {
  const server = await listen(api(), local, log)
  expect(await (await fetch(server.url)).text()).toBe('Ollama is running')
  await server[Symbol.asyncDispose]()
  await expect(fetch(server.url)).rejects.toThrow()
})

test('a port that Paddock holds is named as such, with the way out', async () => {
  await using first = await listen(api(), local, log)
  await expect(listen(api(), { host: '127.0.0.1', port: first.port }, log)).rejects.toMatchObject({
    code: 'conflict',
    message: `the address 127.0.0.1:${first.port} is in use by another Paddock (version 1.2.3). Stop it, or set OLLAMA_HOST to another address, such as OLLAMA_HOST=127.0.0.1:11434.`,
  })
})

test('a port that Ollama or another program holds is named too', async () => {
  for (const [body, name] of [
    ['{"version":"0.9.9"}', 'Ollama (version 0.9.9)'],
    ['hello', 'another program'],
  ] as const) {
    const other = createServer((_request, response) => response.end(body)).listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    await expect(listen(api(), { host: '127.0.0.1', port }, log)).rejects.toThrow(`is in use by ${name}`)
    other.close()
  }
})

test('an address that this machine does not have is refused by name', async () => {
  await expect(listen(api(), { host: '203.0.113.7', port: 0 }, log)).rejects.toMatchObject({ code: 'invalid-request' })
})

test('a reply under way may end while the server stops', async () => {
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const app = api({
    chat: async function* () {
      yield promptEvent()
      yield { type: 'text', text: 'a' }
      await held
      yield doneEvent()
    },
  })
  const server = await listen(app, local, log)
  const answer = await fetch(`${server.url}/api/chat`, { method: 'POST', body: chatBody })
  const stopping = server[Symbol.asyncDispose]()
  release()
  expect(await answer.text()).toContain('"done":true')
  await stopping
})

test('a client that hangs up in a stream, or before it, ends the generation', async () => {
  for (const silent of [false, true]) {
    const signals: AbortSignal[] = []
    const app = api({
      chat: async function* (_request, signal) {
        signals.push(signal)
        yield promptEvent()
        if (!silent) yield { type: 'text', text: 'a' }
        await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      },
    })
    await using server = await listen(app, local, log)
    const leaving = new AbortController()
    const call = fetch(`${server.url}/api/chat`, { method: 'POST', body: chatBody, signal: leaving.signal }).then((answer) => answer.text())
    await expect.poll(() => signals.length).toBe(1)
    leaving.abort()
    await expect(call).rejects.toThrow()
    await expect.poll(() => signals[0]?.aborted).toBe(true)
  }
})

test('requests that are no HTTP get 400 and the server goes on', async () => {
  await using server = await listen(api(), local, log)
  expect(await raw(server.port, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
  expect(await raw(server.port, 'GET / HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
  expect(await raw(server.port, 'GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
  expect(await raw(server.port, `GET /${'x'.repeat(70_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`)).toMatch(/^HTTP\/1\.1 4\d\d /)
  expect(await raw(server.port, 'GET / HTTP/1.0\r\n\r\n')).toContain('Ollama is running')
  expect((await fetch(server.url)).status).toBe(200)
})

test('a body in chunks, without a length, is read too', async () => {
  await using server = await listen(api(), local, log)
  const head = 'POST /api/show HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n'
  expect(await raw(server.port, `${head}9\r\n{"model":\r\n8\r\n"a:b:c"}\r\n0\r\n\r\n`)).toContain('{"error":"invalid model name"}')
})

test('HEAD answers like GET without a body', async () => {
  await using server = await listen(api(), local, log)
  const answer = await fetch(`${server.url}/api/version`, { method: 'HEAD' })
  expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([200, 'application/json; charset=utf-8', ''])
  expect((await fetch(`${server.url}/api/ps`, { method: 'HEAD' })).status).toBe(405)
})
