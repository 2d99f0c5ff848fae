import type { Answer } from './http.ts'

/** One recorded exchange; the format and the rules of comparison are in `test/fixtures/golden/README.md`. */
export interface Exchange {
  id: string
  note?: string
  request: { method: string; path: string; headers?: Record<string, string>; body?: unknown; raw?: string }
  response: { status: number; headers: Record<string, string>; body?: unknown; text?: string; lines?: unknown[]; events?: { event?: string; data: unknown }[] }
}

export interface Scenario {
  scenario: string
  about: string
  steps: Exchange[]
}

/** One place where our answer is not what was recorded. */
export interface Deviation {
  /** `status`, `headers.location`, `body.message.content`, `stream.text`, … */
  at: string
  recorded: unknown
  ours: unknown
}

type Value = Record<string, unknown>
const isObject = (value: unknown): value is Value => typeof value === 'object' && value !== null && !Array.isArray(value)
const kind = (value: unknown) => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value)

/** Compares an answer of ours with the recorded one, by the rules; an empty list means that they agree. */
export function deviations(exchange: Exchange, answer: Answer, modelsFolder: string): Deviation[] {
  const found: Deviation[] = []
  const { response } = exchange
  const add = (at: string, recorded: unknown, ours: unknown) => found.push({ at, recorded, ours })
  if (response.status !== answer.status) add('status', response.status, answer.status)
  for (const [name, value] of Object.entries(response.headers)) {
    if (name === 'content-length' || name === 'transfer-encoding') continue
    const ours = answer.headers[name]
    if (normalHeader(name, value) !== normalHeader(name, ours)) add(`headers.${name}`, value, ours)
  }
  const compare = new Comparison(add, modelsFolder, isSampled(exchange))
  if (response.text !== undefined) {
    if (response.headers['content-type']?.startsWith('text/html')) return found
    if (response.text !== answer.text) add('text', response.text, answer.text)
  } else if (response.body !== undefined) compare.value('body', response.body, parsed(answer.text))
  else if (response.lines) compareLines(response.lines as Value[], lines(answer.text), compare)
  else if (response.events) compareEvents(response.events, events(answer.text), compare)
  return found
}

/** `Allow` is a set; the rest of the headers count as they are. */
const normalHeader = (name: string, value: string | undefined) => (name === 'allow' ? value?.split(/,\s*/).sort().join() : value)

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
const lines = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map(parsed) as Value[]
const events = (text: string) =>
  text
    .split('\n\n')
    .filter((block) => block !== '')
    .map((block) => parsed(/^data: (.*)$/m.exec(block)?.[1] ?? ''))

/** Where the peer let the model escape its grammar, and where the reply was drawn by chance, only the shape counts. */
function isSampled({ note, request, response }: Exchange): boolean {
  if (note?.startsWith('sampled')) return true
  if (!isObject(request.body) || response.status !== 200) return false
  const { body } = request
  if (body.format === 'json' || (isObject(body.response_format) && body.response_format.type === 'json_object')) return true
  const options = isObject(body.options) ? body.options : body
  return drewText(response) && options.temperature !== 0
}

/** Loading, rendering and embedding draw nothing. */
const drewText = ({ body, lines, events }: Exchange['response']) =>
  lines !== undefined || events !== undefined || (isObject(body) && ('eval_count' in body || 'choices' in body))

/** The peer quotes its own machinery here; our text should be better, so only its presence counts. */
const machinery = /^json: cannot unmarshal|unexpected EOF|dial tcp|^open \/|^\{/

const byKind = new Set(['version', 'request_id', 'digest', 'created_at', 'modified_at', 'expires_at', 'created', 'completed_at', 'size', 'size_vram'])

type Add = (at: string, recorded: unknown, ours: unknown) => unknown

/** Each step answers with what it found or nothing; only `add` counts. */
class Comparison {
  readonly add: Add
  readonly #modelsFolder: string
  readonly #sampled: boolean

  constructor(add: Add, modelsFolder: string, sampled: boolean) {
    this.add = add
    this.#modelsFolder = modelsFolder
    this.#sampled = sampled
  }

  value(at: string, recorded: unknown, ours: unknown): unknown {
    const key = at.slice(at.lastIndexOf('.') + 1)
    if (key === 'embedding' && typeof recorded === 'string' && typeof ours === 'string') return this.#vector(at, floats(recorded), floats(ours))
    if (kind(recorded) !== kind(ours)) return this.add(at, recorded, ours)
    if (byKind.has(key) || key.endsWith('_duration') || (key === 'id' && isId(recorded)) || key === 'call_id') return
    if (Array.isArray(recorded)) return this.#list(at, key, recorded, ours as unknown[])
    if (isObject(recorded)) {
      for (const [name, value] of Object.entries(recorded)) this.value(`${at}.${name}`, value, (ours as Value)[name])
      return
    }
    if (typeof recorded === 'number' && key === 'logprob') {
      if (Math.abs(recorded - (ours as number)) > 0.05) this.add(at, recorded, ours)
      return
    }
    if (this.#sampled) return
    if (typeof recorded === 'string') return this.#text(at, key, recorded, ours as string)
    if (recorded !== ours) this.add(at, recorded, ours)
  }

  #list(at: string, key: string, recorded: unknown[], ours: unknown[]): unknown {
    if (key === 'embedding' || (at.includes('embeddings[') && recorded.every((item) => typeof item === 'number'))) {
      return this.#vector(at, recorded as number[], ours as number[])
    }
    // Further models (those that ship) may stand beside the recorded ones; those that are recorded keep their order.
    const named = isObject(recorded[0]) && ['models', 'data'].includes(key) && 'digest' in recorded[0]
    let items = named ? ours.filter((item) => isObject(item) && recorded.some((other) => (other as Value).name === item.name)) : ours
    if (key === 'tensors') {
      // In the order of the file, which the peer changes when it rewrites the file on import.
      const byName = (list: unknown[]) => list.toSorted((a, b) => (String((a as Value).name) < String((b as Value).name) ? -1 : 1))
      recorded = byName(recorded)
      items = byName(ours)
    }
    if (this.#sampled && !isObject(recorded[0])) return
    if (recorded.length !== items.length) return this.add(`${at}.length`, recorded.length, items.length)
    recorded.forEach((item, index) => {
      this.value(`${at}[${index}]`, item, items[index])
    })
  }

  #text(at: string, key: string, recorded: string, ours: string): unknown {
    if ((key === 'error' || at === 'body.error.message') && machinery.test(recorded)) {
      if (ours === '') this.add(at, recorded, ours)
      return
    }
    if (this.#normal(key, recorded) !== this.#normal(key, ours)) this.add(at, recorded, ours)
  }

  /** Digests and the models' folder by kind; the lines of parameters in any order (the peer walks a Go map). */
  #normal(key: string, text: string): string {
    const plain = text.replaceAll(this.#modelsFolder, '/models').replace(/sha256([-:])[0-9a-f]{64}/g, 'sha256$1…')
    if (key !== 'modelfile' && key !== 'parameters') return plain
    const all = plain.split('\n')
    const isParameter = (line: string) => key === 'parameters' || line.startsWith('PARAMETER ')
    const sorted = all.filter(isParameter).sort()
    return all.map((line) => (isParameter(line) ? sorted.shift() : line)).join('\n')
  }

  #vector(at: string, recorded: number[], ours: number[]): unknown {
    if (recorded.length !== ours.length) return this.add(`${at}.length`, recorded.length, ours.length)
    const dot = recorded.reduce((sum, value, index) => sum + value * (ours[index] ?? 0), 0)
    const cosine = dot / (Math.hypot(...recorded) * Math.hypot(...ours) || 1)
    if (recorded.length > 0 && cosine < 0.999) this.add(at, 'cosine ≥ 0.999', cosine)
  }
}

/** Ids of replies and calls are drawn; a model's `id` is its name. */
const isId = (value: unknown) => typeof value === 'string' && /^(chatcmpl|cmpl|msg|resp|call|fc|rs)[-_]|^[A-Za-z0-9]{32}$/.test(value)

function floats(base64: string): number[] {
  const bytes = Buffer.from(base64, 'base64')
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4))
}

/** What the chunks of a native stream add up to; how many there are is ours to choose. */
function foldedLines(stream: Value[]) {
  const message = (chunk: Value) => (isObject(chunk.message) ? chunk.message : {})
  const text = (key: string) => stream.map((chunk) => chunk[key] ?? message(chunk)[key] ?? '').join('')
  return {
    text: text('response') + text('content'),
    thinking: text('thinking'),
    calls: stream.flatMap((chunk) => (message(chunk).tool_calls as unknown[] | undefined) ?? []),
    logprobs: stream.flatMap((chunk) => (chunk.logprobs as unknown[] | undefined) ?? []),
  }
}

/** A chunk without what the fold has compared. */
function withoutPayload(chunk: Value): Value {
  const { response: _response, thinking: _thinking, logprobs: _logprobs, message, ...rest } = chunk
  return isObject(message) ? { ...rest, message: { role: message.role } } : rest
}

function compareLines(recorded: Value[], ours: Value[], compare: Comparison): unknown {
  if (recorded.some((line) => 'status' in line)) {
    const statuses = (stream: Value[]) => stream.map((line) => String(line.status ?? line.error).replace(/sha256:[0-9a-f]{64}/, 'sha256:…'))
    return compare.value('stream.status', collapsed(statuses(recorded)), collapsed(statuses(ours)))
  }
  compare.value('stream', foldedLines(recorded), foldedLines(ours))
  compare.value('last', withoutPayload(recorded.at(-1) ?? {}), withoutPayload(ours.at(-1) ?? {}))
  if (recorded.length > 1) compare.value('first', shape(recorded[0]), shape(ours[0]))
}

/** The keys and kinds of a chunk, its texts left out. */
function shape(value: unknown): unknown {
  if (!isObject(value)) return kind(value)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, key === 'logprobs' ? 'array' : shape(item)]))
}

const collapsed = (list: string[]) => list.filter((item, index) => item !== list[index - 1])

/** Payload of an OpenAI chunk, by what a client acts on. */
function eventType(event: unknown): string {
  if (!isObject(event)) return String(event)
  const [choice] = (event.choices as Value[] | undefined) ?? []
  if (!choice) return event.usage ? 'usage' : 'error'
  if (choice.finish_reason) return `finish ${choice.finish_reason}`
  const delta = isObject(choice.delta) ? choice.delta : choice
  if (delta.tool_calls) return 'tool_calls'
  return delta.reasoning ? 'reasoning' : 'text'
}

function foldedEvents(stream: unknown[]) {
  const choices = stream.filter(isObject).flatMap((event) => (event.choices as Value[] | undefined) ?? [])
  const deltas = choices.map((choice) => (isObject(choice.delta) ? choice.delta : choice))
  const text = (key: string) => deltas.map((delta) => delta[key] ?? '').join('')
  return {
    role: deltas.map((delta) => delta.role).filter((role) => role !== undefined),
    text: text('content') + text('text'),
    reasoning: text('reasoning'),
    calls: deltas.flatMap((delta) => (delta.tool_calls as unknown[] | undefined) ?? []),
    finish: choices.map((choice) => choice.finish_reason).filter(Boolean),
    usage:
      stream
        .filter(isObject)
        .flatMap((event) => event.usage ?? [])
        .at(-1) ?? null,
    types: collapsed(stream.map(eventType)),
    oneId: new Set(stream.filter(isObject).map((event) => event.id)).size,
  }
}

/** What the events of an Anthropic stream add up to; a `ping` may stand anywhere. */
function foldedMessage(stream: unknown[]) {
  const events = stream.filter(isObject).filter(({ type }) => type !== 'ping')
  const blocks: Value[] = []
  for (const { type, index, content_block: block, delta } of events) {
    if (type === 'content_block_start') blocks[index as number] = { ...(block as Value), pieces: '' }
    const open = blocks[index as number]
    if (type !== 'content_block_delta' || !open || !isObject(delta)) continue
    open.pieces += String(delta.text ?? delta.thinking ?? delta.partial_json ?? '')
  }
  return { blocks, end: events.find(({ type }) => type === 'message_delta') ?? null, types: collapsed(events.map(({ type }) => String(type))) }
}

/** What the events of a Responses stream add up to; each has its number. */
function foldedResponse(stream: unknown[]) {
  const events = stream.filter(isObject)
  return {
    items: events.filter(({ type }) => type === 'response.output_item.done').map(({ item }) => item),
    deltas: events.map(({ delta }) => delta ?? '').join(''),
    types: collapsed(events.map(({ type }) => String(type))),
    numbers: events.every(({ sequence_number: number }, at) => number === at),
  }
}

/** How events of this dialect are folded, by the first of them. */
function foldOf(first: unknown) {
  const type = isObject(first) ? first.type : undefined
  if (type === 'message_start') return foldedMessage
  return type === 'response.created' ? foldedResponse : foldedEvents
}

function compareEvents(recorded: { data: unknown }[], ours: unknown[], compare: Comparison): void {
  const theirs = recorded.map((event) => event.data)
  const folded = foldOf(theirs[0])
  compare.value('stream', folded(theirs), folded(ours))
  compare.value('first', shape(theirs[0]), shape(ours[0]))
  // Its number is the count of the chunks before it, which is ours to choose.
  const last = (stream: unknown[]) => {
    const { sequence_number: _number, ...event } = stream.filter(isObject).at(-1) ?? {}
    return event
  }
  compare.value('last', last(theirs), last(ours))
}
