import type { Command } from './command.ts'
import { followProgress, insecureFlag } from './transfer.ts'

export const pushCommand: Command = {
  name: 'push',
  usage: 'MODEL',
  about: 'Upload a model to a registry',
  flags: [insecureFlag],
  words: [1, 1],
  async run(context, { words: [model], flags }) {
    await followProgress(context, '/api/push', { model, insecure: flags.isOn('insecure') })
  },
}
