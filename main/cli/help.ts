import type { Flag } from './arguments.ts'
import type { Command } from './command.ts'
import { formatTable } from './format.ts'

export const helpFlag: Flag = { name: 'help', short: 'h', type: 'boolean', about: 'Show this help' }
const versionFlag: Flag = { name: 'version', short: 'v', type: 'boolean', about: 'Show the version' }

/** What `paddock --help` prints. */
export function generalHelp(commands: readonly Command[]): string {
  return [
    'Language models on your own machine.\n\n',
    'Usage:\n  paddock            open the window, or start the server where there is none\n  paddock COMMAND\n\n',
    'Commands:\n',
    indented(commands.map(({ name, about }) => [name, about])),
    '\nFlags:\n',
    indented([helpFlag, versionFlag].map(flagRow)),
    '\nMore about a command: paddock COMMAND --help\n',
  ].join('')
}

/** What `paddock COMMAND --help` prints. */
export function commandHelp(command: Command): string {
  const names = [command.name, ...(command.aliases ?? [])]
  const usage = ['paddock', command.name, command.usage].filter((part) => part !== '').join(' ')
  return [
    `${command.about}\n\nUsage:\n  ${usage}\n`,
    names.length > 1 ? `\nAliases:\n  ${names.join(', ')}\n` : '',
    '\nFlags:\n',
    indented([...command.flags, helpFlag].filter(({ hidden }) => !hidden).map(flagRow)),
    command.details === undefined ? '' : `\n${command.details}\n`,
  ].join('')
}

function flagRow({ name, short, type, bare, about }: Flag): [string, string] {
  const value = type === 'boolean' ? '' : type === 'number' ? ' N' : bare === undefined ? ' TEXT' : '[=TEXT]'
  return [`${short === undefined ? '    ' : `-${short}, `}--${name}${value}`, about]
}

function indented(rows: [string, string][]): string {
  return formatTable(rows).replace(/^(?=.)/gm, '  ')
}
