/** What a person does at a prompt. */
export type Typed = { type: 'line'; text: string } | { type: 'interrupt' } | { type: 'end' }

/** Where the lines of a conversation come from. */
export interface Lines {
  /** @param placeholder stands dimmed behind the prompt until something is typed */
  read(prompt: string, placeholder?: string): Promise<Typed>
  /** Calls back on Ctrl+C until disposed of: while a reply is being written. */
  onInterrupt(callback: () => void): Disposable
  /** Whether lines are kept for the next time. */
  setHistory(enabled: boolean): void
}
