import type { Chats } from '../chats/chats.ts'
import type { Doctor } from '../doctor/doctor.ts'
import { AppError } from '../errors.ts'
import type { AssessFit } from '../fit/fit.ts'
import { type ImportFile, imported } from '../models/import.ts'
import type { Library } from '../models/library.ts'
import type { ModelSummary } from '../models/model.ts'
import { displayName, type ModelName, parseName } from '../models/name.ts'
import type { Adopted } from '../models/origins/adopted.ts'
import type { Downloads } from '../models/registry/downloads.ts'
import type { Upkeep } from '../models/upkeep.ts'
import type { ElsewhereModel, Upstreams } from '../upstream/upstreams.ts'
import type { Handlers, ModelEntry, OriginEntry } from './contract.ts'
import type { ServerHost } from './server-host.ts'

/** What the window uses of a server. */
export interface WindowServer extends AsyncDisposable {
  readonly url: string
  readonly services: {
    library: Pick<Library, 'list' | 'hide' | 'restore'>
    importFile: ImportFile
    origins: Pick<Adopted, 'status' | 'change'>
    doctor: Doctor
    assessFit: AssessFit
    upkeep: Upkeep
    upstreams: Pick<Upstreams, 'list' | 'add' | 'remove' | 'models'>
    downloads: Pick<Downloads, 'watch' | 'start' | 'pause' | 'resume' | 'cancel'>
  }
}

/** The contract, by the services of this program's server. */
export function createHandlers<S extends WindowServer>({ server, chats }: { server: ServerHost<S>; chats: Chats }): Handlers {
  const downloads = async () => (await server.running()).services.downloads
  return {
    'server.watch': (_, signal) => server.watch(signal),
    'server.restart': () => server.start(),
    'models.list': async () => {
      const { library, upstreams } = (await server.running()).services
      const [here, elsewhere] = await Promise.all([library.list(), upstreams.models()])
      return [...here.map(modelEntry), ...elsewhere.map(elsewhereEntry)]
    },
    'models.import': async ({ path, name, copy }, signal) => {
      const { importFile } = (await server.running()).services
      const made = await imported(importFile({ path, name: name === undefined ? null : nameOf(name), copy }, signal))
      return { name: displayName(made.name) }
    },
    'models.hide': async ({ model }) => {
      if (!(await (await server.running()).services.library.hide(nameOf(model)))) throw new AppError('model-not-found', `model '${model}' not found`)
    },
    'models.restore': async ({ model }) => {
      await (await server.running()).services.library.restore(nameOf(model))
    },
    'origins.list': async () => originEntries((await server.running()).services.origins),
    'origins.change': async (change) => {
      const { origins } = (await server.running()).services
      origins.change(change)
      return originEntries(origins)
    },
    'upstreams.list': async () => (await server.running()).services.upstreams.list(),
    'upstreams.add': async (upstream, signal) => (await server.running()).services.upstreams.add(upstream, signal),
    'upstreams.remove': async ({ name }) => (await server.running()).services.upstreams.remove(name),
    'models.examine': async ({ model }, signal) => (await server.running()).services.doctor(model, signal),
    'models.assess': async ({ model, contextLength, remote }, signal) => {
      const options = contextLength === null ? {} : { num_ctx: contextLength }
      return (await server.running()).services.assessFit({ model, options, remote, insecure: false }, signal)
    },
    'models.diskUse': async () => (await server.running()).services.upkeep.diskUse(),
    'models.verify': async ({ model, discard }, signal) =>
      (await server.running()).services.upkeep.verify({ name: model === null ? null : nameOf(model), discard }, signal),
    'models.prune': async ({ dryRun }) =>
      (await (await server.running()).services.upkeep.prune({ dryRun })).map(({ digest, sizeBytes }) => ({ digest, sizeBytes })),
    'models.updates': async ({ model }, signal) =>
      (await server.running()).services.upkeep.updates({ name: model === null ? null : nameOf(model), insecure: false }, signal),
    'downloads.watch': async (_, signal) => (await downloads()).watch(signal),
    'downloads.start': async ({ model, insecure }) => (await downloads()).start({ name: nameOf(model), insecure }),
    'downloads.pause': async ({ id }) => (await downloads()).pause(id),
    'downloads.resume': async ({ id }) => (await downloads()).resume(id),
    'downloads.cancel': async ({ id, keepPartial }) => (await downloads()).cancel(id, { keepPartial }),
    'chats.list': (_, signal) => chats.watchList(signal),
    'chats.watch': ({ chatId }, signal) => chats.watch(chatId, signal),
    'chats.create': ({ model, text }) => chats.create(model, text),
    'chats.send': ({ chatId, model, text }) => chats.send(chatId, model, text),
    'chats.retry': ({ chatId, model }) => chats.retry(chatId, model),
    'chats.stop': ({ chatId }) => chats.stop(chatId),
  }
}

function nameOf(model: string): ModelName {
  const name = parseName(model)
  if (name === null) throw new AppError('invalid-request', 'invalid model name')
  return name
}

async function originEntries(origins: Pick<Adopted, 'status'>): Promise<OriginEntry[]> {
  return (await origins.status()).map(({ id, owner, folder, on, models }) => ({ id, owner, folder, on, models }))
}

function modelEntry({ name, origin, sizeBytes, modifiedAt, details, capabilities, problem }: ModelSummary): ModelEntry {
  return {
    name: displayName(name),
    origin,
    elsewhere: false,
    sizeBytes,
    modifiedAtMs: modifiedAt.getTime(),
    family: details.family,
    parameterSize: details.parameterSize,
    quantization: details.quantizationLevel,
    contextLength: details.contextLength,
    capabilities,
    problem: problem ?? null,
  }
}

/** A model elsewhere is listed with its engine as the origin. */
function elsewhereEntry({
  name,
  sizeBytes,
  modifiedAt,
  family,
  parameterSize,
  quantizationLevel,
  contextLength,
  capabilities,
  upstream,
}: ElsewhereModel): ModelEntry {
  return {
    name,
    origin: upstream.name,
    elsewhere: true,
    sizeBytes,
    modifiedAtMs: modifiedAt?.getTime() ?? 0,
    family,
    parameterSize,
    quantization: quantizationLevel,
    contextLength,
    capabilities: capabilities.filter(isCapability),
    problem: upstream.state === 'down' ? { state: 'gone', text: upstream.problem ?? '' } : null,
  }
}

function isCapability(text: string): text is ModelEntry['capabilities'][number] {
  return ['completion', 'embedding', 'tools', 'thinking', 'insert', 'vision', 'audio'].includes(text)
}
