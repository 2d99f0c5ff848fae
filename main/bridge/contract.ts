import { z } from 'zod'
import type { ChatSummary, ChatUpdate } from '../chats/chat.ts'
import type { DoctorEvent } from '../doctor/events.ts'
import type { PlainError } from '../errors.ts'
import type { Fit } from '../fit/answer.ts'
import type { DownloadInfo } from '../models/registry/download-info.ts'
import type { DiskUse, UpdateState, VerifyEvent } from '../models/upkeep-facts.ts'

/** Carries an output's type; nothing checks an output at run time. */
interface Returns<Output> {
  readonly output?: Output
}
interface Call<Input, Output> extends Returns<Output> {
  readonly kind: 'call'
  readonly input: z.ZodType<Input>
}
interface Stream<Input, Output> extends Returns<Output> {
  readonly kind: 'stream'
  readonly input: z.ZodType<Input>
}

const returns = <Output>(): Returns<Output> => ({})
const call = <Input, Output>(input: z.ZodType<Input>, _output: Returns<Output>): Call<Input, Output> => ({ kind: 'call', input })
const stream = <Input, Output>(input: z.ZodType<Input>, _output: Returns<Output>): Stream<Input, Output> => ({ kind: 'stream', input })

/** As `models/model.ts` says it; that file needs Node's types, which the window has not. */
type Capability = 'completion' | 'embedding' | 'tools' | 'thinking' | 'insert' | 'vision' | 'audio'

/** A model as the window lists it. */
export interface ModelEntry {
  /** As the user writes it: `smollm2:135m`. */
  name: string
  /** `store` is ours, `bundled` ships with the app, `file` is one that the user opened, else whose it is. */
  origin: string
  /** It runs in an engine on another machine or in another program; what the user writes goes there. */
  elsewhere: boolean
  sizeBytes: number
  modifiedAtMs: number
  family: string
  parameterSize: string
  quantization: string
  contextLength: number | null
  capabilities: Capability[]
  /** Why it cannot be run now: parts are missing, or its file is gone. */
  problem: { state: 'incomplete' | 'gone'; text: string } | null
}

/** A place of another program, or a folder of the user's, whose models are listed where they lie. */
export interface OriginEntry {
  id: string
  owner: string
  folder: string
  on: boolean
  models: number
}

/** An engine elsewhere; its key is never told. */
export interface UpstreamEntry {
  name: string
  url: string
  protocol: 'openai' | 'ollama'
  hasKey: boolean
  state: 'up' | 'down' | 'unknown'
  /** Why it is down. */
  problem: string | null
  /** Ids by which the engine knows its models; here they are `NAME/id`. */
  models: string[]
}

/** A model in memory. */
export interface LoadedModel {
  name: string
  sizeBytes: number
}

/** The server that this window's program runs. */
export type ServerStatus =
  | { state: 'starting' }
  | { state: 'listening'; url: string; version: string; device: string; loaded: LoadedModel[] }
  | { state: 'failed'; error: PlainError }

const ChatId = z.string().min(1).max(64)
const DownloadId = z.string().min(1).max(64)
const Name = z.string().min(1).max(512)
const Folders = z.array(z.string().min(1).max(4096)).max(100).default([])
const Text = z.string().trim().min(1).max(4_000_000)

/** Everything our window may ask for. */
export const contract = {
  /** The status now, then whenever it changes. */
  'server.watch': stream(z.void(), returns<ServerStatus>()),
  /** After a failed start. */
  'server.restart': call(z.void(), returns<void>()),
  'models.list': call(z.void(), returns<ModelEntry[]>()),
  /** Makes a model of a GGUF file that was opened or dropped; it stays where it is unless it is to be copied. */
  'models.import': call(
    z.strictObject({ path: z.string().min(1).max(4096), name: Name.optional(), copy: z.boolean().default(false) }),
    returns<{ name: string }>(),
  ),
  /** Takes a model of another program out of the list, and brings it back. */
  'models.hide': call(z.strictObject({ model: Name }), returns<void>()),
  'models.restore': call(z.strictObject({ model: Name }), returns<void>()),
  'origins.list': call(z.void(), returns<OriginEntry[]>()),
  'origins.change': call(z.strictObject({ on: Folders, off: Folders, add: Folders, remove: Folders }), returns<OriginEntry[]>()),
  'upstreams.list': call(z.void(), returns<UpstreamEntry[]>()),
  /** Without a protocol the engine is asked what it speaks. */
  'upstreams.add': call(
    z.strictObject({
      name: Name,
      url: z.string().max(2048),
      key: z.string().max(4096).default(''),
      protocol: z.enum(['openai', 'ollama']).nullable().default(null),
    }),
    returns<UpstreamEntry>(),
  ),
  'upstreams.remove': call(z.strictObject({ name: Name }), returns<void>()),
  /** What a model can really do, check by check. */
  'models.examine': stream(z.strictObject({ model: Name }), returns<DoctorEvent>()),
  /** Whether it runs on this machine; `remote` asks the registry for a model that is not here. */
  'models.assess': call(
    z.strictObject({ model: Name, contextLength: z.int().positive().nullable().default(null), remote: z.boolean().default(false) }),
    returns<Fit>(),
  ),
  /** What our models folder takes. */
  'models.diskUse': call(z.void(), returns<DiskUse>()),
  /** Reads the files of one model, or of all, again; `discard` takes damaged ones out of our store. */
  'models.verify': stream(z.strictObject({ model: Name.nullable().default(null), discard: z.boolean().default(false) }), returns<VerifyEvent>()),
  /** Removes files that no model needs, or with `dryRun` names them. */
  'models.prune': call(z.strictObject({ dryRun: z.boolean() }), returns<{ digest: string; sizeBytes: number }[]>()),
  /** Asks the registries for newer versions. */
  'models.updates': call(z.strictObject({ model: Name.nullable().default(null) }), returns<UpdateState[]>()),
  /** The list now, then whenever it changes. */
  'downloads.watch': stream(z.void(), returns<DownloadInfo[]>()),
  /** Goes on by itself, after a restart too. */
  'downloads.start': call(z.strictObject({ model: Name, insecure: z.boolean().default(false) }), returns<DownloadInfo>()),
  'downloads.pause': call(z.strictObject({ id: DownloadId }), returns<DownloadInfo>()),
  'downloads.resume': call(z.strictObject({ id: DownloadId }), returns<DownloadInfo>()),
  'downloads.cancel': call(z.strictObject({ id: DownloadId, keepPartial: z.boolean() }), returns<void>()),
  /** The list now, then whenever it changes, the latest chat first. */
  'chats.list': stream(z.void(), returns<ChatSummary[]>()),
  /** The chat now, then what is new. */
  'chats.watch': stream(z.strictObject({ chatId: ChatId }), returns<ChatUpdate>()),
  'chats.create': call(z.strictObject({ model: Name, text: Text }), returns<{ chatId: string }>()),
  'chats.send': call(z.strictObject({ chatId: ChatId, model: Name, text: Text }), returns<void>()),
  'chats.retry': call(z.strictObject({ chatId: ChatId, model: Name }), returns<void>()),
  'chats.stop': call(z.strictObject({ chatId: ChatId }), returns<void>()),
}

export type Contract = typeof contract
export type CallName = { [N in keyof Contract]: Contract[N]['kind'] extends 'call' ? N : never }[keyof Contract]
export type StreamName = { [N in keyof Contract]: Contract[N]['kind'] extends 'stream' ? N : never }[keyof Contract]
export type Input<N extends keyof Contract> = Contract[N] extends Call<infer I, unknown> | Stream<infer I, unknown> ? I : never
export type Output<N extends keyof Contract> = Contract[N] extends Returns<infer O> ? O : never

/** What `handlers.ts` implements. */
export type Handlers = { [N in CallName]: (input: Input<N>, signal: AbortSignal) => Output<N> | Promise<Output<N>> } & {
  [N in StreamName]: (input: Input<N>, signal: AbortSignal) => AsyncIterable<Output<N>> | Promise<AsyncIterable<Output<N>>>
}

/** From the window. Each `id` is one call or stream; `more` asks a stream for its next item, the first comes unasked. */
export type ToBridge = { type: 'open'; id: number; name: string; input: unknown } | { type: 'more'; id: number } | { type: 'cancel'; id: number }

/** To the window. A call is answered by `value`; a stream by `value`s and an `end`; both by an `error` when they fail. */
export type FromBridge = { type: 'value'; id: number; value: unknown } | { type: 'end'; id: number } | { type: 'error'; id: number; error: PlainError }
