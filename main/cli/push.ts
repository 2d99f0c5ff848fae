import type { Command } from './command.ts'
import { followProgress, insecureFlag, modelNames } from './transfer.ts'

export const pushCommand: Command = {
  name: 'push',
  usage: 'MODEL',
  about: 'Upload a model to a registry',
  flags: [insecureFlag],
  words: [1, 1],
  details: `${modelNames}\nWhat the registry has already is not sent again.`,
  async run(context, { words: [model], flags }) {
    await followProgress(context, '/api/push', { model, insecure: flags.isOn('insecure') })
  },
}
