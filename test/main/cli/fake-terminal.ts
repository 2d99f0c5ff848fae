import { PassThrough, Writable } from 'node:stream'
import { Client } from '../../../main/cli/client.ts'
import type { Context, KeyStore } from '../../../main/cli/command.ts'
import { runCommand } from '../../../main/cli/main.ts'
import type { TerminalInput, TerminalOutput } from '../../../main/cli/terminal.ts'

/** A stream that keeps what was written to it; with columns it is a terminal. */
export class FakeOutput extends Writable implements TerminalOutput {
  text = ''
  readonly isTTY: boolean
  readonly columns?: number

  constructor(columns?: number) {
    super({ decodeStrings: false })
    this.isTTY = columns !== undefined
    if (columns !== undefined) this.columns = columns
  }

  override _write(chunk: string | Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

/** A keyboard, or with `piped` a pipe that brings this text and ends. */
export function fakeInput({ piped }: { piped?: string } = {}): TerminalInput & PassThrough {
  const input = new PassThrough() as TerminalInput & PassThrough
  input.isTTY = piped === undefined
  input.setRawMode = () => input
  if (piped !== undefined) input.end(piped)
  return input
}

export interface FakeContext extends Context {
  terminal: { input: TerminalInput & PassThrough; output: FakeOutput; errors: FakeOutput }
}

interface FakeContextOptions {
  url?: string
  piped?: string
  columns?: number
  keys?: KeyStore
}

/** What a command is given, with terminals that tests read. */
export function fakeContext({ url = 'http://127.0.0.1:9', piped = '', columns, keys }: FakeContextOptions = {}): FakeContext {
  return {
    terminal: { input: fakeInput({ piped }), output: new FakeOutput(columns), errors: new FakeOutput(columns) },
    client: new Client({ url, key: '', version: '1.2.3' }),
    version: '1.2.3',
    historyFile: null,
    editor: '',
    keys: () => {
      if (!keys) throw new Error('this command needs no keys')
      return keys
    },
    serve: async (note) => {
      throw new Error(`serve was called with "${note}"`)
    },
  }
}

/** Runs one command line to its end. */
export async function run(argv: string[], options: FakeContextOptions = {}): Promise<{ code: number; output: string; errors: string }> {
  const context = fakeContext(options)
  const code = await runCommand(argv, context)
  return { code, output: context.terminal.output.text, errors: context.terminal.errors.text }
}
