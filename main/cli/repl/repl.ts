import type { Context } from '../command.ts'
import { errorMessage } from '../format.ts'
import type { Session } from '../session.ts'
import type { Lines } from './lines.ts'
import { type SlashCommands, slashCommands } from './slash.ts'

const prompt = '>>> '
const continuation = '... '
const placeholder = 'Send a message (/? for help)'
const quotes = '"""'

/** What has been typed of a message that began with `"""`. */
interface OpenMessage {
  for: 'message' | 'system'
  lines: string[]
}

/** The conversation at the terminal: messages, and commands that begin with a slash. */
export class Repl {
  readonly #context: Context
  readonly #session: Session
  readonly #lines: Lines
  readonly #commands: SlashCommands
  #open: OpenMessage | null = null

  constructor(context: Context, session: Session, lines: Lines) {
    this.#context = context
    this.#session = session
    this.#lines = lines
    this.#commands = slashCommands(context, session, lines)
  }

  /** Ends with Ctrl+D or `/bye`. An error is shown and the conversation goes on. */
  async run(): Promise<void> {
    for (;;) {
      const typed = await (this.#open ? this.#lines.read(continuation) : this.#lines.read(prompt, placeholder))
      if (typed.type === 'end') break
      if (typed.type === 'interrupt') {
        this.#open = null
        continue
      }
      try {
        if ((await this.#take(typed.text)) === 'leave') return
      } catch (error) {
        this.#context.terminal.errors.write(`Error: ${errorMessage(error)}\n`)
      }
    }
    this.#context.terminal.output.write('\n')
  }

  async #take(line: string): Promise<'leave' | 'stay'> {
    if (this.#open) {
      await this.#continue(this.#open, line)
    } else if (line.startsWith(quotes)) {
      await this.#begin('message', line.slice(quotes.length))
    } else if (/^\/set\s+system\s+"""/.test(line)) {
      await this.#begin('system', line.slice(line.indexOf(quotes) + quotes.length))
    } else if (line.startsWith('/') && !this.#startsWithFile(line)) {
      return this.#commands.run(line)
    } else if (line.trim() !== '') {
      await this.#send(line)
    }
    return 'stay'
  }

  /** `/home/me/cat.png What is this?` is a message where the model sees pictures. */
  #startsWithFile(line: string): boolean {
    const [first = ''] = line.split(/(?<!\\)\s/)
    return /\.(jpe?g|png|webp|wav)$/i.test(first) && this.#session.capabilities.some((capability) => capability === 'vision' || capability === 'audio')
  }

  async #begin(kind: OpenMessage['for'], rest: string): Promise<void> {
    const message: OpenMessage = { for: kind, lines: [] }
    this.#open = message
    await this.#continue(message, rest)
  }

  async #continue(message: OpenMessage, line: string): Promise<void> {
    const closed = line.endsWith(quotes)
    message.lines.push(closed ? line.slice(0, -quotes.length) : line)
    if (!closed) return
    this.#open = null
    const text = message.lines.join('\n')
    if (message.for === 'system') this.#commands.setSystem(text)
    else if (text.trim() !== '') await this.#send(text)
  }

  async #send(message: string): Promise<void> {
    const stopping = new AbortController()
    using _listening = this.#lines.onInterrupt(() => stopping.abort(new Error('stopped by the user')))
    await this.#session.chat(message, stopping.signal)
    this.#context.terminal.output.write('\n\n')
  }
}
