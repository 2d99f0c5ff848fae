import { ServerError } from './client.ts'
import type { Command } from './command.ts'
import { unload } from './unload.ts'

export const rmCommand: Command = {
  name: 'rm',
  usage: 'MODEL…',
  about: 'Remove models',
  flags: [],
  words: [1, Number.POSITIVE_INFINITY],
  async run({ client, terminal }, { words }) {
    for (const model of words) {
      // Of a model that is not there, the deletion says so.
      await unload(client, model).catch((error) => {
        if (!(error instanceof ServerError)) throw error
      })
      await client.call('DELETE', '/api/delete', { model })
      terminal.output.write(`deleted '${model}'\n`)
    }
  },
}
