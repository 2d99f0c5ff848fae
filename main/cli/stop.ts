import { ServerError } from './client.ts'
import type { Command } from './command.ts'
import { unload } from './unload.ts'

export const stopCommand: Command = {
  name: 'stop',
  usage: 'MODEL',
  about: 'Take a model out of memory',
  flags: [],
  words: [1, 1],
  async run({ client }, { words: [model = ''] }) {
    try {
      await unload(client, model)
    } catch (error) {
      if (error instanceof ServerError && error.status === 404) throw new Error(`couldn't find model "${model}" to stop`, { cause: error })
      throw error
    }
  },
}
