import type { Client } from './client.ts'

/** Takes a model out of memory as soon as its requests are done. Throws a ServerError when there is no such model. */
export async function unload(client: Client, model: string): Promise<void> {
  await client.call('POST', '/api/generate', { model, keep_alive: 0 })
}
