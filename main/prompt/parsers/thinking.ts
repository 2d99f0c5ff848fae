import { heldTail, isMarkup } from './held-tail.ts'

/** Where thinking begins and ends in a reply, and which white space around the tags belongs to them. */
export interface ThinkingLayout {
  open: string
  close: string
  trimAfterOpen: boolean
  trimBeforeClose: boolean
  trimAfterClose: boolean
  /** White space before a reply that does not think is part of it. */
  keepLeading: boolean
}

export interface Split {
  type: 'text' | 'thinking'
  text: string
}

type State = 'start' | 'inside' | 'closed' | 'content'

/** Splits a reply into one thinking block at its beginning and the rest; later tags are plain text. */
export class ThinkingSplitter {
  readonly #layout: ThinkingLayout
  #state: State
  #buffer = ''
  /** White space of which it is not known yet whether it is markup. */
  #spaces = ''
  /** Thinking of nothing but white space is none, so it waits for a word. */
  #thought = false

  constructor(layout: ThinkingLayout, state: 'start' | 'inside' | 'content') {
    this.#layout = layout
    this.#state = state
  }

  push(text: string): Split[] {
    if (this.#state === 'content') return text === '' ? [] : [{ type: 'text', text }]
    this.#buffer += text
    const splits: Split[] = []
    if (this.#state === 'start') this.#begin(splits)
    if (this.#state === 'inside') this.#think(splits)
    if (this.#state === 'closed') this.#leave(splits)
    return splits
  }

  end(isCut = false): Split[] {
    const splits: Split[] = []
    // All that is held of a reply that has not been decided, or has not left its thinking, is the beginning of a tag.
    if (isCut && this.#state !== 'closed' && isMarkup(this.#buffer)) this.#buffer = ''
    const left = this.#spaces + this.#buffer
    const isThinking = this.#state === 'inside' && (this.#thought || left.trim() !== '')
    const isText = this.#state === 'start' && (this.#layout.keepLeading || left.trim() !== '')
    if (left !== '' && (isThinking || isText)) splits.push({ type: isThinking ? 'thinking' : 'text', text: left })
    this.#buffer = this.#spaces = ''
    return splits
  }

  #begin(splits: Split[]): void {
    const { open, keepLeading } = this.#layout
    const trimmed = this.#buffer.trimStart()
    this.#spaces += this.#buffer.slice(0, this.#buffer.length - trimmed.length)
    this.#buffer = trimmed
    if (trimmed.startsWith(open)) {
      this.#state = 'inside'
      this.#spaces = ''
      this.#buffer = trimmed.slice(open.length)
    } else if (!open.startsWith(trimmed)) {
      this.#state = 'content'
      if (keepLeading) this.#buffer = this.#spaces + trimmed
      this.#flush(splits, 'text')
    }
  }

  #think(splits: Split[]): void {
    const { close, trimAfterOpen, trimBeforeClose } = this.#layout
    const text = this.#buffer
    const at = text.indexOf(close)
    let ready = text.slice(0, at < 0 ? text.length - heldTail(text, [close]) : at)
    this.#buffer = at < 0 ? text.slice(ready.length) : text.slice(at + close.length)
    if (trimAfterOpen && !this.#thought) ready = ready.trimStart()
    const kept = ready.trimEnd()
    if (kept !== '') {
      splits.push({ type: 'thinking', text: this.#spaces + kept })
      this.#spaces = ''
      this.#thought = true
    }
    const tail = ready.slice(kept.length)
    if (trimBeforeClose || !this.#thought) this.#spaces += tail
    else if (tail !== '') splits.push({ type: 'thinking', text: tail })
    if (at >= 0) this.#state = 'closed'
  }

  #leave(splits: Split[]): void {
    if (this.#layout.trimAfterClose) {
      this.#buffer = this.#buffer.trimStart()
      if (this.#buffer === '') return
    }
    this.#state = 'content'
    this.#flush(splits, 'text')
  }

  #flush(splits: Split[], type: Split['type']): void {
    if (this.#buffer !== '') splits.push({ type, text: this.#buffer })
    this.#buffer = ''
  }
}
