import type { Arguments, Flag } from './arguments.ts'
import type { Client } from './client.ts'
import type { Terminal } from './terminal.ts'

/** One command of the command line. */
export interface Command {
  name: string
  aliases?: readonly string[]
  /** What follows the name: `MODEL [PROMPT…]`. */
  usage: string
  /** One line. */
  about: string
  flags: readonly Flag[]
  /** Fewest and most words behind the name. */
  words: readonly [min: number, max: number]
  /** Further paragraphs of its help. */
  details?: string
  /** Throws an Error whose message is for the user. */
  run(context: Context, args: Arguments): Promise<void>
}

/** What commands work with. */
export interface Context {
  terminal: Terminal
  client: Client
  /** Of this program. */
  version: string
  /** Where `run` keeps what was typed; null: nowhere. */
  historyFile: string | null
  /** What Ctrl+G opens; '' for none. */
  editor: string
  keys: () => KeyStore
  serve: Serve
}

/** Runs the server until the process is told to stop; `note` says why there is no window. */
export type Serve = (note: string) => Promise<void>

/** The keys of this machine's server, which live in its settings file, not behind its API. */
export interface KeyStore {
  add(name: string, scopes: ('use' | 'manage')[]): Promise<string>
  list(): { name: string; scopes: string[]; createdAt: string }[]
  remove(name: string): void
}
