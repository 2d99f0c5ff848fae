import type { Config } from '../config.ts'
import type { Doctor } from '../doctor/doctor.ts'
import type { AssessFit } from '../fit/fit.ts'
import type { Chat, Complete, Count, Embed } from '../generation/events.ts'
import type { Rerank } from '../generation/rerank.ts'
import type { Tokens } from '../generation/tokens.ts'
import type { Keys } from '../keys.ts'
import type { Log } from '../lib/log.ts'
import type { BlobStore } from '../models/blobs.ts'
import type { CreateRequest } from '../models/create.ts'
import type { ImportFile } from '../models/import.ts'
import type { Library } from '../models/library.ts'
import type { Model } from '../models/model.ts'
import type { Adopted } from '../models/origins/adopted.ts'
import type { Progress } from '../models/progress.ts'
import type { Downloads } from '../models/registry/downloads.ts'
import type { Push } from '../models/registry/push.ts'
import type { ModelDescription } from '../models/show.ts'
import type { Store } from '../models/store.ts'
import type { Upkeep } from '../models/upkeep.ts'
import type { RequestRecord } from '../requests/request-log.ts'
import type { Hardware } from '../runtime/hardware.ts'
import type { ResidentModel } from '../runtime/resident-model.ts'
import type { Upstreams } from '../upstream/upstreams.ts'

/** All that the HTTP door needs of the program; made once by the composition root. */
export interface ApiServices {
  chat: Chat
  count: Count
  complete: Complete
  embed: Embed
  tokens: Tokens
  rerank: Rerank
  doctor: Doctor
  library: Pick<Library, 'list' | 'resolve' | 'copy' | 'delete' | 'hide' | 'restore'> & { store: Pick<Store, 'offers'> & { blobs: Pick<BlobStore, 'write'> } }
  create: (request: CreateRequest, signal: AbortSignal) => AsyncIterable<Progress>
  push: Push
  downloads: Pick<Downloads, 'list' | 'pull' | 'start' | 'pause' | 'resume' | 'cancel'>
  /** Makes a model of a file on this machine. */
  importFile: ImportFile
  origins: Pick<Adopted, 'status' | 'change'>
  upkeep: Upkeep
  assessFit: AssessFit
  /** The engines elsewhere. */
  upstreams: Pick<Upstreams, 'find' | 'list' | 'add' | 'remove' | 'models' | 'model'>
  describe: (model: Model, verbose: boolean) => Promise<ModelDescription>
  /** The models in memory. */
  resident: () => ResidentModel[]
  hardware: () => Hardware
  config: Pick<Config, 'listen' | 'origins' | 'requireKey' | 'noCloud' | 'debugLogRequests' | 'metrics'>
  keys: Pick<Keys, 'list' | 'check'>
  /** Counts as a key for everything: for other processes of the same user. */
  ownerToken?: string
  log: Log
  /** Of the program. */
  version: string
  /** Called once for each request when its answer has ended. */
  onRequest?: (record: RequestRecord) => void
}
