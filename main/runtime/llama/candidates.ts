import type { Pointer } from './abi.ts'
import { int32At, type Pinned, pinned } from './memory.ts'

/** Bytes of `llama_token_data`: id, logit, p. */
const entryBytes = 12
const entryWords = entryBytes / 4

/** A `llama_token_data_array` in our memory: the tokens that a sampler chooses from. */
export class Candidates {
  readonly #size: number
  readonly #ids: Pinned<Int32Array>
  readonly #logits: Float32Array
  /** data, size, selected, sorted */
  readonly #head = pinned(BigInt64Array, 4)
  readonly #sorted = new Uint8Array(this.#head.array.buffer, 24, 1)

  constructor(vocabularySize: number) {
    this.#size = vocabularySize
    this.#ids = pinned(Int32Array, vocabularySize * entryWords)
    this.#logits = new Float32Array(this.#ids.array.buffer)
  }

  get address(): Pointer {
    return this.#head.address
  }

  /** The whole vocabulary with these logits, without those that are banned. */
  fill(logits: Float32Array, banned: readonly number[] = []): void {
    const ids = this.#ids.array
    for (let token = 0, at = 0; token < this.#size; token++, at += entryWords) {
      ids[at] = token
      this.#logits[at + 1] = logits[token] as number
      this.#logits[at + 2] = 0
    }
    for (const token of banned) this.#logits[token * entryWords + 1] = Number.NEGATIVE_INFINITY
    this.#reset(this.#size)
  }

  /** One token alone, to ask a grammar about it. */
  single(token: number): void {
    this.#ids.array[0] = token
    this.#logits[1] = 1
    this.#logits[2] = 0
    this.#reset(1)
  }

  /** What `single` was refused by a grammar. */
  get refused(): boolean {
    return this.#logits[1] === Number.NEGATIVE_INFINITY
  }

  /** True when nothing is left to choose from; asked after a filter, before a chain. */
  get exhausted(): boolean {
    for (let at = 1; at < this.#size * entryWords; at += entryWords) if (this.#logits[at] !== Number.NEGATIVE_INFINITY) return false
    return true
  }

  /** The token that the last sampler of a chain has chosen; -1 for none. */
  selected(): number {
    const [data, size, selected] = this.#head.array as unknown as [bigint, bigint, bigint]
    if (selected < 0n || selected >= size) return -1
    const at = Number(selected)
    // A sampler may have moved the list to memory of its own.
    return data === this.#ids.address ? (this.#ids.array[at * entryWords] as number) : int32At(data, at * entryBytes)
  }

  #reset(size: number): void {
    const head = this.#head.array
    head[0] = this.#ids.address
    head[1] = BigInt(size)
    head[2] = -1n
    this.#sorted[0] = 0
  }
}
