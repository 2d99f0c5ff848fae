import { type Arguments, UsageError } from './arguments.ts'
import type { Command, Context } from './command.ts'
import { formatTable, formatTime } from './format.ts'

export const keyCommand: Command = {
  name: 'key',
  usage: 'add NAME | list | remove NAME',
  about: 'Manage the keys that other machines present to this server',
  flags: [{ name: 'scope', type: 'text', about: 'What the key allows: use (the default), manage, or use,manage' }],
  words: [1, 2],
  details:
    'With scope "use" a program can generate, chat, embed, list and show; with "manage" it can change models.\n' +
    'Where the server can be reached from other machines it asks for a key as soon as there is one.',
  run: async (context, args) => {
    const [action, ...rest] = args.words
    if (action === 'list' && rest.length === 0) list(context)
    else if (action === 'add' && rest.length === 1) await add(context, args)
    else if (action === 'remove' && rest.length === 1) remove(context, args)
    else throw new UsageError(`expected ${keyCommand.usage}`)
  },
}

/** The key alone goes to the output, so that a script can take it. */
async function add({ keys, terminal }: Context, { words: [, name = ''], flags }: Arguments): Promise<void> {
  const scopes = (flags.text('scope') ?? 'use').split(',').map((scope) => scope.trim())
  if (!scopes.every((scope) => scope === 'use' || scope === 'manage')) throw new UsageError('a scope is "use" or "manage"')
  const key = await keys().add(name, scopes)
  terminal.errors.write(`The key "${name}" (${scopes.join(', ')}) is shown only this once. Send it as "Authorization: Bearer KEY".\n`)
  terminal.output.write(`${key}\n`)
}

function list({ keys, terminal }: Context): void {
  const now = new Date()
  const rows = keys()
    .list()
    .map(({ name, scopes, createdAt }) => [name, scopes.join(','), formatTime(new Date(createdAt), now)])
  terminal.output.write(formatTable([['NAME', 'SCOPES', 'CREATED'], ...rows]))
}

function remove({ keys, terminal }: Context, { words: [, name = ''] }: Arguments): void {
  keys().remove(name)
  terminal.output.write(`removed '${name}'\n`)
}
