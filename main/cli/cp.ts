import type { Command } from './command.ts'

export const cpCommand: Command = {
  name: 'cp',
  usage: 'SOURCE DESTINATION',
  about: 'Copy a model under another name',
  flags: [],
  words: [2, 2],
  async run({ client, terminal }, { words: [source, destination] }) {
    await client.call('POST', '/api/copy', { source, destination })
    terminal.output.write(`copied '${source}' to '${destination}'\n`)
  },
}
