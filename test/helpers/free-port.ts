import { once } from 'node:events'
import { createServer } from 'node:net'

/** A free port of those that no system hands out by itself, so that nobody takes it before the one it is for. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    const server = createServer().listen(port, '127.0.0.1')
    try {
      await once(server, 'listening')
    } catch {
      continue // taken
    }
    server.close()
    await once(server, 'close')
    return port
  }
  throw new Error('no free port between 20000 and 30000')
}
