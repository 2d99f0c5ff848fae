import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface, emitKeypressEvents, type Interface, type Key } from 'node:readline'
import { Writable } from 'node:stream'
import { displayWidth, style, type TerminalInput, type TerminalOutput } from '../terminal.ts'
import type { History } from './history.ts'
import type { Lines, Typed } from './lines.ts'

const bracketedPaste = { on: '\x1b[?2004h', off: '\x1b[?2004l' }

/** What the keyboard needs. */
export interface KeyboardOptions {
  input: TerminalInput
  output: TerminalOutput
  history: History
  /** '' for none. */
  editor: string
}

/**
 * Lines that a person types, with editing and history. The terminal stays in raw mode between prompts, so that Ctrl+C is a
 * key and never the end of the program, and what is typed during a reply is there at the next prompt.
 */
export class KeyboardLines implements Lines, AsyncDisposable {
  readonly #input: TerminalInput
  readonly #output: TerminalOutput
  readonly #screen: Screen
  readonly #history: History
  readonly #editor: string
  readonly #interface: Interface
  readonly #typed: Typed[] = []
  readonly #interrupted = new Set<() => void>()
  #wake: (() => void) | null = null
  /** Lines of a paste, which is one message. */
  #pasted: string[] | null = null
  #held: string[] = []
  #hasPlaceholder = false
  #ended = false

  constructor({ input, output, history, editor }: KeyboardOptions) {
    this.#input = input
    this.#output = output
    this.#screen = new Screen(output)
    this.#history = history
    this.#editor = editor
    emitKeypressEvents(input)
    // Before readline sees the key.
    input.on('keypress', this.#onKey)
    this.#interface = createInterface({ input, output: this.#screen, terminal: true, history: history.lines.toReversed(), historySize: 1000, prompt: '' })
    this.#interface.on('line', (line) => this.#onLine(line))
    this.#interface.on('SIGINT', () => this.#onInterrupt())
    this.#interface.on('close', () => this.#end())
    output.write(bracketedPaste.on)
  }

  async read(prompt: string, placeholder = ''): Promise<Typed> {
    const ahead = this.#typed[0]
    if (ahead?.type === 'line') this.#output.write(`${prompt}${ahead.text}\n`)
    else if (!this.#ended) this.#show(prompt, placeholder)
    while (this.#typed.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.#screen.muted = true
    return this.#typed.shift() ?? { type: 'end' }
  }

  onInterrupt(callback: () => void): Disposable {
    this.#interrupted.add(callback)
    return { [Symbol.dispose]: () => void this.#interrupted.delete(callback) }
  }

  setHistory(enabled: boolean): void {
    this.#history.enabled = enabled
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#input.off('keypress', this.#onKey)
    this.#interface.close()
    this.#output.write(bracketedPaste.off)
    this.#input.pause()
  }

  #show(prompt: string, placeholder: string): void {
    this.#screen.muted = false
    this.#interface.setPrompt(prompt)
    this.#interface.prompt(true)
    this.#hasPlaceholder = placeholder !== '' && this.#interface.line === ''
    if (this.#hasPlaceholder) this.#output.write(`${style.dim}${placeholder}${style.reset}${style.left(displayWidth(placeholder))}`)
  }

  readonly #onKey = (_text: string | undefined, key: Key): void => {
    if (this.#hasPlaceholder && !this.#screen.muted) {
      this.#output.write(style.clearToLineEnd)
      this.#hasPlaceholder = false
    }
    if (key.name === 'paste-start') this.#pasted = []
    else if (key.name === 'paste-end') this.#endPaste()
    else if (key.ctrl && key.name === 'g' && !this.#screen.muted) this.#edit()
  }

  #endPaste(): void {
    this.#held.push(...(this.#pasted ?? []))
    this.#pasted = null
  }

  #onLine(line: string): void {
    if (this.#pasted) {
      this.#pasted.push(line)
      return
    }
    const text = [...this.#held, line].join('\n')
    this.#held = []
    if (!text.includes('\n')) this.#history.add(text)
    this.#push({ type: 'line', text })
  }

  /** Ctrl+C: stops the reply; at the prompt it drops what was typed, and says how to leave where nothing was. */
  #onInterrupt(): void {
    if (this.#interrupted.size > 0) {
      for (const callback of this.#interrupted) callback()
      return
    }
    const hadText = this.#interface.line !== '' || this.#held.length > 0
    this.#held = []
    this.#clearLine()
    this.#output.write(hadText ? '\n' : '\nUse Ctrl + d or /bye to exit.\n')
    this.#push({ type: 'interrupt' })
  }

  #end(): void {
    this.#ended = true
    this.#wake?.()
  }

  #push(typed: Typed): void {
    this.#typed.push(typed)
    this.#wake?.()
  }

  #clearLine(): void {
    this.#interface.write(null, { ctrl: true, name: 'e' })
    this.#interface.write(null, { ctrl: true, name: 'u' })
  }

  /** Ctrl+G: what was typed goes through an editor and comes back as the line. */
  #edit(): void {
    if (this.#editor === '') return
    const folder = mkdtempSync(path.join(os.tmpdir(), 'paddock-'))
    const file = path.join(folder, 'prompt.txt')
    try {
      writeFileSync(file, [...this.#held, this.#interface.line].join('\n'), { mode: 0o600 })
      this.#input.setRawMode?.(false)
      const [program = '', ...args] = this.#editor.split(/\s+/)
      const { error } = spawnSync(program, [...args, file], { stdio: 'inherit' })
      this.#input.setRawMode?.(true)
      if (error) this.#output.write(`\n${this.#editor} could not be started: ${error.message}\n`)
      else this.#takeEdited(readFileSync(file, 'utf8').trimEnd())
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  #takeEdited(text: string): void {
    this.#clearLine()
    const lines = text.split('\n')
    const last = lines.pop() ?? ''
    this.#held = lines
    for (const line of lines) this.#output.write(`${line}\n`)
    this.#interface.write(last)
  }
}

/** The terminal as readline sees it: deaf while a reply is written, so that keys do not mix with it. */
class Screen extends Writable {
  muted = true
  readonly isTTY = true
  readonly #output: TerminalOutput

  constructor(output: TerminalOutput) {
    super({ decodeStrings: false })
    this.#output = output
    output.on('resize', () => this.emit('resize'))
  }

  get columns(): number {
    return this.#output.columns ?? 80
  }

  override _write(chunk: string | Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    if (!this.muted) this.#output.write(chunk)
    done()
  }
}
