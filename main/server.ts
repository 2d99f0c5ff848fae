import path from 'node:path'
import { createApi } from './api/http.ts'
import { listen } from './api/listen.ts'
import { protocolVersion } from './api/ollama/status.ts'
import { type Config, isLoopback } from './config.ts'
import { DataFolder } from './data-folder.ts'
import { openDatabase } from './database.ts'
import type { Doctor, ModelClaims } from './doctor/doctor.ts'
import { AppError } from './errors.ts'
import type { AssessFit } from './fit/fit.ts'
import { learnSpeeds } from './fit/learn.ts'
import { Speeds } from './fit/speeds.ts'
import type { Chat, Complete, Count, Embed } from './generation/events.ts'
import type { Rerank } from './generation/rerank.ts'
import type { Tokens } from './generation/tokens.ts'
import { Keys } from './keys.ts'
import { lazily, lazyStream, once } from './lib/lazily.ts'
import type { Log } from './lib/log.ts'
import { Outgoing } from './lib/outgoing.ts'
import type { InspectTemplates } from './models/capabilities.ts'
import type { CreateRequest } from './models/create.ts'
import type { ImportFile } from './models/import.ts'
import { KeptFacts } from './models/kept-facts.ts'
import { type HiddenModels, Library } from './models/library.ts'
import { displayName, type ModelName, parseReference } from './models/name.ts'
import { Adopted } from './models/origins/adopted.ts'
import { Bundled } from './models/origins/bundled.ts'
import { References } from './models/origins/references.ts'
import { Turns } from './models/origins/scanned.ts'
import { DownloadTable } from './models/registry/download-table.ts'
import { Downloads } from './models/registry/downloads.ts'
import { Store } from './models/store.ts'
import type { Upkeep } from './models/upkeep.ts'
import { inspectTemplates, templateProblem } from './prompt/template-facts.ts'
import { RequestLog } from './requests/request-log.ts'
import { HardwareProbe } from './runtime/hardware.ts'
import type { RuntimeEntries, Spawn } from './runtime/process.ts'
import type { LoadModel } from './runtime/residency.ts'
import type { Runner } from './runtime/runner.ts'
import { Scheduler } from './runtime/scheduler.ts'
import { TemplateRenderer } from './runtime/template-renderer.ts'
import { Settings } from './settings.ts'
import { Upstreams } from './upstream/upstreams.ts'

/** What differs between plain Node and Electron, and between the sources and a bundle. */
export interface Host {
  spawn: Spawn
  entries: RuntimeEntries
  /** Folder of the models that ship. */
  bundledModelsFolder: string
  /** Of the program. */
  version: string
  log: Log
}

/** The services behind every door; the window uses them without HTTP. */
export interface Services {
  library: Library
  chat: Chat
  complete: Complete
  count: Count
  embed: Embed
  tokens: Tokens
  rerank: Rerank
  doctor: Doctor
  /** Makes a model of a file on this machine. */
  importFile: ImportFile
  /** The places of other programs. */
  origins: Adopted
  downloads: Downloads
  upkeep: Upkeep
  assessFit: AssessFit
  scheduler: Scheduler
  hardware: HardwareProbe
  settings: Settings
  keys: Keys
  upstreams: Upstreams
  requests: RequestLog
}

export interface Server extends AsyncDisposable {
  readonly url: string
  readonly services: Services
}

/**
 * Builds every service once and listens; the one who calls owns all of it.
 *
 * Throws `conflict` when another Paddock owns the data folder or something else holds the port.
 */
export async function startServer(config: Readonly<Config>, host: Host): Promise<Server> {
  const { log } = host
  await using stack = new AsyncDisposableStack() // undoes a start that fails half-way
  for (const warning of config.warnings) log.warn(warning)

  const folder = stack.use(await DataFolder.claim(config.dataFolder))
  const settings = new Settings(config.settingsFile)
  const keys = new Keys(settings)
  const database = stack.use(openDatabase(config.databaseFile))
  const requests = stack.use(new RequestLog(database))

  const outgoing = stack.use(new Outgoing(config.proxy))
  const upstreams = stack.use(
    new Upstreams({
      records: {
        read: () => settings.value.upstreams,
        update: (change) => settings.update((value) => ({ upstreams: change(value.upstreams) })),
      },
      outgoing,
      localNames: async () => (await library.list()).map(({ name }) => displayName(name)),
      version: host.version,
    }),
  )
  const refuseName = (name: ModelName) => refuseReserved(upstreams, name)
  const store = new Store(config.modelsFolder, log, refuseName)
  await store.prepare()
  const inspect: InspectTemplates = (go, jinja) => inspectTemplates(go, jinja, config.goTemplate)
  const bundled = new Bundled(host.bundledModelsFolder, log)
  // Two drives that do not answer leave half of the pool's threads to the rest of the program.
  const kept = stack.use(new KeptFacts({ file: path.join(config.dataFolder, 'model-facts.json'), version: host.version }))
  const looking = { inspectTemplates: inspect, turns: new Turns(2), kept, log }
  const adopted = new Adopted({
    known: config.originFolders,
    choice: { read: () => settings.value, update: (change) => settings.update(change) },
    storeFolder: config.modelsFolder,
    ...looking,
  })
  const references = new References({
    records: { read: () => settings.value.references, update: (change) => settings.update((value) => ({ references: change(value.references) })) },
    ...looking,
  })
  const library = new Library({
    store,
    origins: () => [bundled, references, ...adopted.origins()],
    hidden: hiddenModels(settings),
    inspectTemplates: inspect,
    kept,
    log,
  })

  const prune = !config.noPrune
  const registries = once(async () => {
    const { openRegistries } = await import('./models/registry/open-registries.ts')
    return openRegistries({
      outgoing,
      version: host.version,
      protocolVersion,
      homeFolder: config.homeFolder,
      hub: { endpoint: config.huggingFace.endpoint, token: () => config.huggingFace.token || (settings.value.huggingFaceToken ?? '') },
      login: (registry) => settings.value.registryLogins?.[registry] ?? null,
      library,
      sessionsFile: path.join(config.dataFolder, 'uploads.json'),
      prune,
      log,
    })
  })
  const downloads = stack.use(
    new Downloads({
      table: new DownloadTable(database),
      blobs: { removePartial: async (digest) => (await registries()).blobs.removePartial(digest) },
      store,
      refuseName,
      pull: lazyStream(async () => (await registries()).pull),
      log,
    }),
  )

  const hardware = stack.use(new HardwareProbe({ spawn: host.spawn, entry: host.entries.probe, config, log }))
  const load: LoadModel<Runner> = async (options, signal, onProgress) => {
    const { Runner } = await import('./runtime/runner.ts')
    return await Runner.load(host.spawn, host.entries.runner, options, signal, onProgress, { env: runnerEnvironment(config) })
  }
  const scheduler = stack.use(new Scheduler({ load, hardware, settings: config, log }))
  const templates = stack.use(new TemplateRenderer({ spawn: host.spawn, entry: host.entries.template }))
  const generation = once(async () => {
    const { createGeneration } = await import('./generation/generation.ts')
    const renderJinja: TemplateRenderer['render'] = (template, variables, signal) => templates.render(template, variables, signal)
    return createGeneration({ library, scheduler, renderJinja, preferGoTemplate: config.goTemplate, log }, upstreams)
  })
  const chat: Chat = lazyStream(async () => (await generation()).chat)
  const speeds = new Speeds(database)
  stack.use(learnSpeeds(scheduler, speeds))
  const assessFit = once(async () => {
    const [{ createFit }, { measureBandwidth }] = await Promise.all([import('./fit/fit.ts'), import('./runtime/bandwidth.ts')])
    const readRemote = lazily(async () => (await registries()).readHeaders)
    return createFit({ library, readRemote, scheduler, ready: hardware.ready, load, speeds, bandwidth: once(() => measureBandwidth()) })
  })
  const doctor = once(async () => {
    const { createDoctor } = await import('./doctor/doctor.ts')
    return createDoctor({ chat, claims: (name) => claimsOf(library, name) })
  })
  const upkeep = once(async () => {
    const { createUpkeep } = await import('./models/upkeep.ts')
    return createUpkeep(
      library,
      lazily(async () => (await registries()).find),
    )
  })
  const importFile = once(async () => {
    const { createImport } = await import('./models/import.ts')
    return createImport({ library, references, refuseName })
  })
  const create = once(async () => {
    const [{ createModel }, { quantizationTypes, quantize }] = await Promise.all([import('./models/create.ts'), import('./runtime/quantizer.ts')])
    return (request: CreateRequest, signal: AbortSignal) =>
      createModel(
        {
          library,
          templateProblem,
          pull: (name, either) => downloads.pull({ name, insecure: false }, either),
          quantizer: {
            types: quantizationTypes,
            quantize: (source, target, type, either) =>
              quantize({ spawn: host.spawn, entry: host.entries.quantize, build: hardware.current().build }, { source, target, type }, either),
          },
          prune,
        },
        request,
        signal,
      )
  })
  const services: Services = {
    library,
    chat,
    complete: lazyStream(async () => (await generation()).complete),
    count: lazily(async () => (await generation()).count),
    embed: lazily(async () => (await generation()).embed),
    tokens: {
      encode: lazily(async () => (await generation()).tokens.encode),
      decode: lazily(async () => (await generation()).tokens.decode),
    },
    rerank: lazily(async () => (await generation()).rerank),
    doctor: lazyStream(doctor),
    importFile: lazyStream(importFile),
    origins: adopted,
    downloads,
    upkeep: {
      diskUse: async () => (await upkeep()).diskUse(),
      verify: lazyStream(async () => (await upkeep()).verify),
      prune: lazily(async () => (await upkeep()).prune),
      updates: lazily(async () => (await upkeep()).updates),
    },
    assessFit: lazily(assessFit),
    scheduler,
    hardware,
    settings,
    keys,
    upstreams,
    requests,
  }

  const api = createApi({
    ...services,
    config,
    log,
    version: host.version,
    ownerToken: folder.token,
    hardware: () => hardware.current(),
    async describe(model, verbose) {
      const { describeModel } = await import('./models/show.ts')
      return await describeModel(model, { verbose, inspectTemplates: inspect })
    },
    create: lazyStream(create),
    push: lazyStream(async () => (await registries()).push),
    resident: () => scheduler.resident(),
    onRequest: (record) => requests.add(record),
  })
  const listener = stack.use(await listen(api, config.listen, log))
  await folder.announce(listener.url)
  if (!isLoopback(config.listen.host)) warnOfNeighbours(log, config, keys)
  hardware.start()
  stack.use(tidyBehindTheStart(store, prune, log))
  downloads.resumeInterrupted()

  const owned = stack.move() // success: the caller owns it now; everything stops in reverse order
  return { url: listener.url, services, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** null for a model that is not on this machine: an engine elsewhere may say too little of it. */
async function claimsOf(library: Library, name: string): Promise<ModelClaims | null> {
  const reference = parseReference(name)
  const model = reference && (await library.resolve(reference.name))
  return model && { capabilities: model.capabilities, contextLength: model.details.contextLength }
}

/** Throws for the name of a model of this machine that would lead to an engine elsewhere. */
function refuseReserved(upstreams: Upstreams, name: ModelName): void {
  const [first = ''] = displayName(name).split('/', 1)
  if (first.includes(':') || !upstreams.reserves(first)) return
  throw new AppError(
    'invalid-request',
    `"${displayName(name)}" cannot be made: names that begin with "${first}/" are models of an engine elsewhere; "paddock upstream remove ${first.toLowerCase()}" frees them`,
  )
}

function hiddenModels(settings: Settings): HiddenModels {
  return {
    has: (name) => settings.value.hiddenModels.includes(name),
    add: (name) => settings.update(({ hiddenModels }) => ({ hiddenModels: [...new Set([...hiddenModels, name])] })),
    remove: (name) => settings.update(({ hiddenModels }) => ({ hiddenModels: hiddenModels.filter((hidden) => hidden !== name) })),
  }
}

/** On the CPU one libuv thread decodes, always the same one: hopping between threads costs 15 to 40 % (llama.cpp spins at barriers). */
function runnerEnvironment(config: Readonly<Config>): Record<string, string> {
  return { UV_THREADPOOL_SIZE: '1', ...config.deviceEnvironment }
}

function warnOfNeighbours(log: Log, config: Readonly<Config>, keys: Keys): void {
  const who =
    config.listen.host === '' || config.listen.host === '0.0.0.0' || config.listen.host === '::' ? 'every network of this machine' : config.listen.host
  const guard = keys.list().length > 0 ? 'a key is demanded' : 'no key is demanded: anyone there can use and change the models ("paddock key add" makes a key)'
  log.warn(`the server can be reached from ${who}; ${guard}`)
}

/** Puts the store in order without holding up the start. */
function tidyBehindTheStart(store: Store, prune: boolean, log: Log): AsyncDisposable {
  const tidying = store.tidy({ prune }).catch((error: unknown) => {
    log.warn('the models folder could not be tidied', { reason: error instanceof Error ? error.message : String(error) })
  })
  return { [Symbol.asyncDispose]: () => tidying }
}
