import type { Command } from './command.ts'

export const hideCommand: Command = {
  name: 'hide',
  usage: 'MODEL…',
  about: 'Take models of other programs out of the list',
  flags: [],
  words: [1, Number.POSITIVE_INFINITY],
  details: 'Their files stay. "paddock restore MODEL" brings one back.',
  async run({ client, terminal }, { words }) {
    for (const model of words) {
      await client.call('POST', '/api/hide', { model })
      terminal.output.write(`hid '${model}'\n`)
    }
  },
}
