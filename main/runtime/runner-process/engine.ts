import { setImmediate as nextTurn } from 'node:timers/promises'
import { AppError } from '../../errors.ts'
import type { Context } from '../llama/context.ts'
import { Batch } from '../llama/memory.ts'
import type { GenerateRequest, RunnerEvent } from '../protocol.ts'
import { Crowding } from './crowding.ts'
import { Pace } from './pace.ts'
import { preparePrompt } from './prompt.ts'
import { Reply } from './reply.ts'
import { type Slot, Slots } from './slots.ts'

/** Where an engine's events go: those of one step together. */
export interface Outlet {
  step(events: [id: number, event: RunnerEvent][]): void
  fail(id: number, error: unknown): void
}

/** What a step evaluates for one slot: `row` gives its next token, -1 when its prompt goes on. */
interface Part {
  slot: Slot
  reply: Reply
  tokens: number
  row: number
}

/** Text waits so long for more: each message wakes the server, which takes a core from llama.cpp's threads. */
const tellingMs = 10

/** Bytes that a copy of cells moves in a millisecond, at least. */
const copyBytesPerMs = 2_000_000

/**
 * Writes the replies of one context, all that run in one decode a step.
 *
 * A step: finish what was cancelled, place what waits, one token for every running reply and then pieces of prompts, decode, draw, tell.
 */
export class Engine {
  readonly context: Context
  /** Tokens of one reply's prompt and text together. */
  readonly contextLength: number
  readonly #outlet: Outlet
  readonly #slots: Slots
  readonly #batch: Batch
  readonly #pace: Pace
  readonly #crowding: Crowding
  #queue: Reply[] = []
  #events: [id: number, event: RunnerEvent][] = []
  #inFlight: Part[] = []
  #turn = 0
  #toldAt = 0
  #running = false
  #idle: (() => void)[] = []

  constructor(context: Context, contextLength: number, outlet: Outlet) {
    this.context = context
    this.contextLength = contextLength
    this.#outlet = outlet
    this.#pace = new Pace(context.batchSize)
    this.#crowding = new Crowding(context.threads, context.model.sizeBytes)
    this.#batch = new Batch(context.batchSize)
    const kvBytes = Object.values(context.buffers.kvCache).reduce((sum, bytes) => sum + bytes, 0)
    const copyMs = context.unified ? 0 : kvBytes / context.sequences / copyBytesPerMs
    this.#slots = new Slots(context, (tokens) => this.#pace.promptMs(tokens) > copyMs)
  }

  get running(): number {
    return this.#slots.all.filter(({ reply }) => reply !== null).length
  }

  get queued(): number {
    return this.#queue.length
  }

  /** Throws when the request cannot be served. */
  async submit(id: number, request: GenerateRequest): Promise<void> {
    const { model } = this.context
    const limit = Math.min(request.contextLength, this.contextLength)
    const prompt = preparePrompt(model, request, limit)
    const adapters = await Promise.all(request.adapters.map(async ({ file, scale }) => ({ adapter: await model.adapter(file), scale })))
    this.#queue.push(new Reply(model, { id, request, prompt, limit, adapters }, (event) => this.#events.push([id, event])))
    if (this.#running) return
    this.#running = true
    this.#crowding.begin()
    // A bug in the loop ends the process: its state is not to be trusted.
    void this.#run()
  }

  /** Ends a reply without a word; inside a decode when nobody else needs that. */
  cancel(id: number): boolean {
    const queued = this.#queue.findIndex((reply) => reply.id === id)
    if (queued >= 0) {
      this.#queue.splice(queued, 1)
      return true
    }
    const slot = this.#slots.all.find(({ reply }) => reply?.id === id)
    if (!slot?.reply) return false
    slot.reply.cancelled = true
    if (this.#inFlight.length > 0 && this.#inFlight.every(({ reply }) => reply.cancelled)) this.context.abort(true)
    return true
  }

  /** To be called each second. */
  glance(): void {
    if (!this.#running) this.#crowding.glance()
  }

  /** Resolves when nothing runs or waits. */
  async whenIdle(): Promise<void> {
    if (this.#running) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  async #run(): Promise<void> {
    for (;;) {
      for (const slot of this.#slots.all) if (slot.reply?.cancelled) this.#release(slot)
      this.#place()
      const active = this.#chooseAdapters(this.#slots.all.filter(({ reply }) => reply !== null))
      this.#makeRoom(active)
      const parts = this.#fillBatch(active.filter(({ reply }) => reply !== null))
      this.#flush(parts.length === 0)
      if (parts.length === 0) {
        if (this.#queue.length > 0 || this.running > 0) continue
        break
      }
      await this.#step(parts)
    }
    // Cleared in the same turn in which the loop saw nothing to do: a request that comes later starts it again.
    this.#running = false
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  async #step(parts: Part[]): Promise<void> {
    const replies = parts.filter(({ reply }) => reply.next !== null).length
    const promptTokens = this.#batch.size - replies
    const begun = performance.now()
    const now = promptTokens === 0 && this.#pace.quick
    this.#inFlight = parts
    this.context.setThreads(this.#crowding.threads)
    const code = now ? this.context.decodeNow(this.#batch) : await this.context.decode(this.#batch)
    this.#inFlight = []
    if (code === 0) {
      for (const part of parts) this.#advance(part)
      const stepMs = performance.now() - begun
      this.#pace.record(stepMs, replies, promptTokens)
      this.#crowding.record(stepMs, replies, promptTokens)
    } else {
      this.context.abort(false)
      this.#recover(code, parts)
    }
    this.#flush(false)
    // Messages are heard between steps.
    if (now || code !== 0) await nextTurn()
  }

  #place(): void {
    while (this.#queue.length > 0 && this.#slots.hasIdle) {
      const reply = this.#queue.shift() as Reply
      const { slot, cached } = this.#slots.place(reply)
      try {
        reply.start(cached)
      } catch (error) {
        this.#fail(slot, error)
      }
    }
  }

  /** Replies of one set of adapters at a time; the sets take turns. */
  #chooseAdapters(active: Slot[]): Slot[] {
    const keys = [...new Set(active.map(({ adapterKey }) => adapterKey))]
    const key = keys[this.#turn++ % keys.length]
    const chosen = keys.length > 1 ? active.filter(({ adapterKey }) => adapterKey === key) : active
    if (chosen[0]?.reply) this.context.setAdapters(chosen[0].reply.adapters)
    return chosen
  }

  /** A reply that has filled its context shifts or ends. */
  #makeRoom(active: readonly Slot[]): void {
    for (const slot of active) {
      const { reply } = slot
      if (reply === null || reply.next === null || slot.tokens.length < reply.limit) continue
      if (!this.#shift(slot, reply)) this.#finish(slot, reply, { reason: 'length', stopString: null })
    }
  }

  #shift(slot: Slot, reply: Reply): boolean {
    const dropped = reply.request.shift ? this.#slots.shift(slot, reply.prompt.keep) : 0
    if (dropped === 0) return false
    reply.shifts++
    reply.shiftedTokens += dropped
    return true
  }

  #fillBatch(active: readonly Slot[]): Part[] {
    const batch = this.#batch
    const parts: Part[] = []
    const prompts: { slot: Slot; reply: Reply; left: number }[] = []
    batch.clear()
    for (const slot of active) {
      const { reply } = slot
      if (reply === null) continue
      if (reply.next === null) prompts.push({ slot, reply, left: reply.prompt.tokens.length - slot.tokens.length })
      else parts.push({ slot, reply, tokens: 1, row: batch.add(reply.next, slot.tokens.length, slot.sequence, true) })
    }
    let room = prompts.length > 0 ? Math.min(batch.room, this.#pace.chunk(parts.length)) : 0
    // The shortest first, an equal share to each: what it leaves goes to the others.
    prompts.sort((a, b) => a.left - b.left)
    prompts.forEach(({ slot, reply, left }, index) => {
      const count = Math.min(left, room, Math.max(1, Math.floor(room / (prompts.length - index))))
      if (count <= 0) return
      room -= count
      const from = slot.tokens.length
      const last = count === left
      let row = -1
      for (let at = from; at < from + count; at++) row = batch.add(reply.prompt.tokens[at] as number, at, slot.sequence, last && at === from + count - 1)
      parts.push({ slot, reply, tokens: count, row: last ? row : -1 })
    })
    return parts
  }

  /** The cells are there now; where a token is due, it is drawn. */
  #advance({ slot, reply, tokens, row }: Part): void {
    if (reply.next !== null) slot.tokens.push(reply.next)
    else {
      const from = slot.tokens.length
      for (let at = from; at < from + tokens; at++) slot.tokens.push(reply.prompt.tokens[at] as number)
      if (!reply.cancelled) reply.reportPrompt(slot.tokens.length)
    }
    if (row < 0 || reply.cancelled) return
    try {
      const taken = reply.take(this.context, row)
      if (taken === 'again') this.#slots.cut(slot, reply.prompt.tokens.length - 1)
      else if (taken !== null) this.#finish(slot, reply, taken)
    } catch (error) {
      this.#fail(slot, error)
    }
  }

  /** Brings every sequence of a failed decode back to what its slot knows, and makes the next one possible. */
  #recover(code: number, parts: readonly Part[]): void {
    for (const { slot } of parts) this.#slots.restore(slot)
    if (code === 2) return // stopped: all its replies were cancelled
    if (code === 1) {
      if (this.#slots.evict()) return
      const largest = parts.reduce((a, b) => (b.slot.tokens.length > a.slot.tokens.length ? b : a))
      if (largest.reply.next !== null && this.#shift(largest.slot, largest.reply)) return
      this.#finish(largest.slot, largest.reply, { reason: 'length', stopString: null })
      return
    }
    for (const { slot } of parts) this.#fail(slot, new AppError('internal', `llama.cpp could not evaluate the request (llama_decode: ${code})`))
  }

  #finish(slot: Slot, reply: Reply, ending: Parameters<Reply['finish']>[0]): void {
    reply.finish(ending)
    this.#release(slot)
  }

  #fail(slot: Slot, error: unknown): void {
    const id = slot.reply?.id
    this.#release(slot)
    if (id !== undefined) {
      this.#events = this.#events.filter(([of]) => of !== id)
      this.#outlet.fail(id, error)
    }
  }

  #release(slot: Slot): void {
    const { reply } = slot
    slot.reply = null
    slot.usedAt = performance.now()
    reply?.free()
    if (reply?.request.cachePrompt === false) this.#slots.cut(slot, 0)
  }

  /** Tells what has happened; text alone may wait, as a step follows that tells it. */
  #flush(last: boolean): void {
    if (this.#events.length === 0) return
    const now = performance.now()
    if (!last && now - this.#toldAt < tellingMs && this.#events.every(([, { type }]) => type === 'text')) return
    const events = this.#events
    this.#events = []
    this.#toldAt = now
    this.#outlet.step(events)
  }
}
