import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { Client } from '../../../main/cli/client.ts'

interface Fixture extends AsyncDisposable {
  client: Client
  requests: http.IncomingMessage[]
}

/** A client and a server that answers as told. */
async function serving(answer: (response: http.ServerResponse, request: http.IncomingMessage) => void, key = ''): Promise<Fixture> {
  const requests: http.IncomingMessage[] = []
  const server = http.createServer((request, response) => {
    requests.push(request)
    answer(response, request)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    client: new Client({ url, key, version: '1.2.3' }),
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of stream) items.push(item)
  return items
}

test('a stream gives its objects, however the bytes are cut', async () => {
  await using fixture = await serving((response) => {
    const bytes = Buffer.from('{"a":"世界"}\n\n{"a":2}\n{"a":3}')
    for (const [i] of bytes.entries())
      setTimeout(() => (i === bytes.length - 1 ? response.end(bytes.subarray(i)) : response.write(bytes.subarray(i, i + 1))), i)
  })
  expect(await collect(fixture.client.stream('/api/chat', {}))).toEqual([{ a: '世界' }, { a: 2 }, { a: 3 }])
})

test('an error in the middle of a stream is thrown after what came before it', async () => {
  await using fixture = await serving((response) => response.end('{"a":1}\n{"error":"the runner died"}\n'))
  const seen: unknown[] = []
  const reading = async () => {
    for await (const object of fixture.client.stream('/api/chat', {})) seen.push(object)
  }
  await expect(reading()).rejects.toThrow('the runner died')
  expect(seen).toEqual([{ a: 1 }])
})

test.each([
  ['the native dialect', '{"error":"model not found"}', 'model not found'],
  ['the OpenAI dialect', '{"error":{"message":"no such model"}}', 'no such model'],
  ['a proxy', '<h1>Bad gateway</h1>', '<h1>Bad gateway</h1>'],
  ['nobody', '', 'the server answered 502 Bad Gateway'],
])('an error of %s is given in its words', async (_who, body, message) => {
  await using fixture = await serving((response) => response.writeHead(502).end(body))
  await expect(fixture.client.call('GET', '/x')).rejects.toMatchObject({ name: 'ServerError', status: 502, message })
})

test('a key is presented as a bearer token', async () => {
  await using fixture = await serving((response) => response.end('{}'), 'pad-secret')
  await fixture.client.call('GET', '/x')
  expect(fixture.requests[0]?.headers.authorization).toBe('Bearer pad-secret')
})

test('without a server the error says how to start one', async () => {
  const client = new Client({ url: 'http://127.0.0.1:9', key: '', version: '1.2.3' })
  await expect(client.call('GET', '/x')).rejects.toThrow('nothing listens at http://127.0.0.1:9: start the server with "paddock serve"')
})

test('a connection that breaks in the middle of a stream is an error', async () => {
  await using fixture = await serving((response) => {
    response.write('{"a":1}\n')
    setTimeout(() => response.destroy(), 20)
  })
  await expect(collect(fixture.client.stream('/api/chat', {}))).rejects.toThrow('the server ended the connection in the middle of its answer')
})

test('leaving a stream closes the connection', async () => {
  const closed = Promise.withResolvers<void>()
  await using fixture = await serving((response) => {
    response.on('close', closed.resolve)
    response.write('{"a":1}\n')
  })
  for await (const _object of fixture.client.stream('/api/chat', {})) break
  await closed.promise
})

test('an abort before the answer throws its reason', async () => {
  const asked = Promise.withResolvers<void>()
  await using fixture = await serving(() => asked.resolve())
  const stopping = new AbortController()
  const calling = fixture.client.call('GET', '/x', undefined, stopping.signal)
  await asked.promise
  stopping.abort(new Error('stopped'))
  await expect(calling).rejects.toThrow('stopped')
})

test('an upload that the server refuses half-way gives its answer', async () => {
  await using fixture = await serving((response) => {
    response.writeHead(507, { connection: 'close' }).end('{"error":"the disk is full"}')
  })
  async function* bytes() {
    for (let i = 0; i < 64; i++) yield Buffer.alloc(1024 * 1024)
  }
  await expect(fixture.client.upload('/api/blobs/x', bytes(), 64 * 1024 * 1024)).rejects.toThrow('the disk is full')
})
