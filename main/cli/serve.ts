import { variables } from '../environment.ts'
import type { Command } from './command.ts'
import { formatTable } from './format.ts'

export const serveCommand: Command = {
  name: 'serve',
  aliases: ['start'],
  usage: '',
  about: 'Start the server, without a window',
  flags: [{ name: 'without-window', type: 'text', hidden: true, about: 'Say why there is no window' }],
  words: [0, 0],
  details:
    `Environment variables:\n${formatTable(variables.map(({ name, meaning, default: value }) => [name, value === '' ? meaning : `${meaning} (default: ${value})`])).replace(/^(?=.)/gm, '  ')}`.trimEnd(),
  run: ({ serve }, { flags }) => serve(flags.text('without-window') ?? ''),
}
