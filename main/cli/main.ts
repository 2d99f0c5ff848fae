import { readFileSync } from 'node:fs'
import path from 'node:path'
import { type Config, isLoopback, readConfig } from '../config.ts'
import { Keys } from '../keys.ts'
import { Settings } from '../settings.ts'
import { type Arguments, parseArguments, UsageError } from './arguments.ts'
import { Client } from './client.ts'
import type { Command, Context, Serve } from './command.ts'
import { errorMessage } from './format.ts'
import { commandHelp, generalHelp, helpFlag } from './help.ts'
import { serveCommand } from './serve.ts'
import { showVersion } from './version.ts'

/** Runs the command line in this process and gives its exit code. */
export async function main(argv: string[], { version, serve }: { version: string; serve: Serve }): Promise<number> {
  // `paddock list | head -1`: whoever read has seen enough.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  const config = readConfig()
  return runCommand(argv, {
    terminal: { input: process.stdin, output: process.stdout, errors: process.stderr },
    client: new Client({ url: config.url, key: clientKey(config), version }),
    version,
    historyFile: config.keepHistory ? path.join(config.dataFolder, 'history') : null,
    editor: config.editor,
    keys: () => new Keys(new Settings(config.settingsFile)),
    serve,
  })
}

/** Finds the command and runs it; what goes wrong is written to the terminal. */
export async function runCommand(argv: string[], context: Context): Promise<number> {
  const { errors } = context.terminal
  try {
    await dispatch(argv, context)
    return 0
  } catch (error) {
    errors.write(`Error: ${errorMessage(error)}\n`)
    if (error instanceof UsageError) errors.write(`See "paddock${(await findCommand(argv[0])) ? ` ${argv[0]}` : ''} --help".\n`)
    return 1
  }
}

async function dispatch([name, ...rest]: string[], context: Context): Promise<void> {
  const { output } = context.terminal
  if (name === undefined || name === '--help' || name === '-h') {
    output.write(generalHelp(await allCommands()))
  } else if (name === 'help') {
    output.write(await helpFor(rest[0]))
  } else if (name === '--version' || name === '-v') {
    await showVersion(context)
  } else {
    const command = await requireCommand(name)
    const args = parseArguments(rest, [...command.flags, helpFlag])
    if (args.flags.isOn('help')) {
      output.write(commandHelp(command))
      return
    }
    checkWords(command, args)
    await command.run(context, args)
  }
}

async function helpFor(name: string | undefined): Promise<string> {
  return name === undefined ? generalHelp(await allCommands()) : commandHelp(await requireCommand(name))
}

async function requireCommand(name: string): Promise<Command> {
  const command = await findCommand(name)
  if (command) return command
  if (name.startsWith('-')) throw new UsageError(`unknown flag: ${name}`)
  const near = (await allCommands()).find((known) => name.length > 1 && (known.name.startsWith(name) || name.startsWith(known.name)))
  throw new UsageError(`unknown command ${JSON.stringify(name)} for "paddock"${near ? `, did you mean ${JSON.stringify(near.name)}?` : ''}`)
}

async function findCommand(name = ''): Promise<Command | undefined> {
  const isMeant = (command: Command) => command.name === name || command.aliases?.includes(name)
  // The server starts without the code of the other commands.
  return isMeant(serveCommand) ? serveCommand : (await allCommands()).find(isMeant)
}

async function allCommands(): Promise<readonly Command[]> {
  return (await import('./commands.ts')).commands
}

function checkWords({ words: [min, max] }: Command, { words }: Arguments): void {
  const count = words.length
  if (min === max && count !== min) throw new UsageError(`accepts ${min} arg(s), received ${count}`)
  if (count < min) throw new UsageError(`requires at least ${min} arg(s), only received ${count}`)
  if (count > max) throw new UsageError(`accepts at most ${max} arg(s), received ${count}`)
}

/** The key that the environment gives; else, for the server of this data folder, the token that its lock file keeps for us. */
function clientKey(config: Readonly<Config>): string {
  if (config.apiKey !== '') return config.apiKey
  try {
    const owner = JSON.parse(readFileSync(path.join(config.dataFolder, 'paddock.lock'), 'utf8')) as { url?: string; token?: string }
    return isSameServer(new URL(owner.url ?? ''), new URL(config.url)) ? (owner.token ?? '') : ''
  } catch {
    // No server runs on this data folder, or it is another user's.
    return ''
  }
}

/** `localhost` and `127.0.0.1` are one, so that the token never leaves this machine but reaches its server. */
function isSameServer(a: URL, b: URL): boolean {
  return a.protocol === b.protocol && a.port === b.port && (a.hostname === b.hostname || (isLoopback(a.hostname) && isLoopback(b.hostname)))
}
