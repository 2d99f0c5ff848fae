import type { Command } from './command.ts'

export const restoreCommand: Command = {
  name: 'restore',
  usage: '[MODEL]',
  about: 'Bring back the models that ship and were removed, or one that was hidden',
  flags: [],
  words: [0, 1],
  async run({ client, terminal }, { words: [model = ''] }) {
    const { restored } = await client.call<{ restored: number }>('POST', '/api/restore', { model })
    terminal.output.write(restored === 0 ? 'nothing to bring back\n' : `brought back ${restored} model${restored === 1 ? '' : 's'}\n`)
  },
}
