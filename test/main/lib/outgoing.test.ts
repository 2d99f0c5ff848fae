import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { Outgoing } from '../../../main/lib/outgoing.ts'

/** A proxy that answers for every host itself and refuses tunnels; what it was asked for. */
async function proxy() {
  const asked: string[] = []
  const server = http.createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.end('from the proxy')
  })
  server.on('connect', (request, socket) => {
    asked.push(`CONNECT ${request.url}`)
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, asked, [Symbol.dispose]: () => server.closeAllConnections() ?? server.close() }
}

async function get(outgoing: Outgoing, address: string): Promise<string> {
  const url = new URL(address)
  const request = (url.protocol === 'https:' ? https : http).get(url, { agent: outgoing.agent(url) })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  return await text(response)
}

test('Outgoing goes by the proxies that the user set', async () => {
  using way = await proxy()
  using outgoing = new Outgoing({ http: way.url, https: way.url, exceptions: ['direct.invalid'] })
  expect(await get(outgoing, 'http://engine.invalid/a')).toBe('from the proxy')
  await expect(get(outgoing, 'https://engine.invalid/a')).rejects.toThrow()
  await expect(get(outgoing, 'http://direct.invalid/a')).rejects.toMatchObject({ code: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/) })
  expect(way.asked).toEqual(['GET http://engine.invalid/a', 'CONNECT engine.invalid:443'])
})

test('Outgoing never reaches this machine by way of another', async () => {
  using way = await proxy()
  using here = await proxy()
  using outgoing = new Outgoing({ http: way.url, https: way.url, exceptions: [] })
  expect(await get(outgoing, here.url)).toBe('from the proxy')
  expect([way.asked, here.asked]).toEqual([[], ['GET /']])
})
