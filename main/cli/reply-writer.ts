import { formatDuration, printable } from './format.ts'
import type { Metrics } from './protocol.ts'
import { style, type TerminalOutput } from './terminal.ts'
import { WordWrap } from './wrap.ts'

/** How a reply is shown. */
export interface ReplyStyle {
  wordWrap: boolean
  hideThinking: boolean
}

/** Writes a reply as it comes: thinking dimmed, between `Thinking...` and `...done thinking.`; words kept whole on a terminal. */
export class ReplyWriter {
  readonly #output: TerminalOutput
  readonly #hideThinking: boolean
  readonly #isTerminal: boolean
  readonly #wrap: WordWrap | null
  #isThinking = false
  /** Blank lines before a reply, and between thinking and text, are ours to choose. */
  #skipsBlank = true
  #last = ''

  constructor(output: TerminalOutput, { wordWrap, hideThinking }: ReplyStyle) {
    this.#output = output
    this.#hideThinking = hideThinking
    this.#isTerminal = output.isTTY === true
    this.#wrap = wordWrap && this.#isTerminal && output.columns ? new WordWrap(output.columns) : null
  }

  thinking(text: string): void {
    if (text === '' || this.#hideThinking) return
    if (!this.#isThinking) {
      this.#isThinking = true
      this.#write(`${this.#styled(style.dim + style.bold, 'Thinking...')}${this.#isTerminal ? style.dim : ''}\n`)
    }
    this.#words(text)
  }

  text(text: string): void {
    if (text === '') return
    this.#endThinking()
    this.#words(text)
  }

  /** What was dimmed ends, also when the reply was stopped in the middle of it. */
  end(): void {
    this.#endThinking()
  }

  #endThinking(): void {
    if (!this.#isThinking) return
    this.#isThinking = false
    this.#skipsBlank = true
    if (this.#isTerminal) this.#output.write(style.reset)
    this.#write(`${this.#last.endsWith('\n') ? '' : '\n'}${this.#styled(style.dim + style.bold, '...done thinking.')}\n\n`)
  }

  #words(piece: string): void {
    const shown = this.#isTerminal ? printable(piece) : piece
    const text = this.#skipsBlank ? shown.trimStart() : shown
    if (text === '') return
    this.#skipsBlank = false
    this.#last = text
    this.#output.write(this.#wrap ? this.#wrap.wrap(text) : text)
  }

  /** Lines of ours, which the wrapping must know of. */
  #write(text: string): void {
    this.#output.write(text)
    this.#wrap?.wrap('\n')
  }

  #styled(start: string, text: string): string {
    return this.#isTerminal ? `${start}${text}${style.reset}` : text
  }
}

/** The lines of `--verbose`. */
export function metricsText(metrics: Metrics): string {
  const { total_duration: total, load_duration: load, prompt_eval_count: prompt, prompt_eval_cached_count: cached } = metrics
  const { prompt_eval_duration: promptTime, eval_count: count, eval_duration: time } = metrics
  const rows: [label: string, text: string | 0 | undefined][] = [
    ['total duration:', total && formatDuration(total)],
    ['load duration:', load && formatDuration(load)],
    ['prompt eval count:', prompt && `${prompt} token(s)${cached ? `, ${cached} of them cached` : ''}`],
    ['prompt eval duration:', promptTime && formatDuration(promptTime)],
    ['prompt eval rate:', prompt && promptTime && rate(prompt - (cached ?? 0), promptTime)],
    ['eval count:', count && `${count} token(s)`],
    ['eval duration:', time && formatDuration(time)],
    ['eval rate:', count && time && rate(count, time)],
  ]
  return rows.flatMap(([label, text]) => (text ? [`${label.padEnd(21)} ${text}\n`] : [])).join('')
}

function rate(tokens: number, nanoseconds: number): string {
  return `${((tokens / nanoseconds) * 1e9).toFixed(2)} tokens/s`
}

/** What was left out of the prompt, in words; '' when nothing was. */
export function truncationText({ truncation }: Metrics): string {
  if (!truncation) return ''
  const { dropped_messages: messages, dropped_tokens: tokens, num_ctx: context } = truncation
  const what = messages > 0 ? `${messages} message${messages === 1 ? '' : 's'} (${tokens} tokens)` : `${tokens} tokens of the prompt`
  return `Note: ${what} did not fit into the context of ${context} tokens and were left out\n`
}
