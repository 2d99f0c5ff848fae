import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { Log } from '../../../main/lib/log.ts'
import { digestOf } from '../../../main/models/blobs.ts'
import type { InspectTemplates } from '../../../main/models/capabilities.ts'
import { type CreateParts, type CreateRequest, createModel } from '../../../main/models/create.ts'
import { Library } from '../../../main/models/library.ts'
import { type ModelName, parseName } from '../../../main/models/name.ts'
import type { Origin } from '../../../main/models/origin.ts'
import { Bundled } from '../../../main/models/origins/bundled.ts'
import type { Progress } from '../../../main/models/progress.ts'
import { Store } from '../../../main/models/store.ts'
import { quantizationTypes, quantize } from '../../../main/runtime/quantizer.ts'
import { criaFile } from '../../helpers/library.ts'
import { cpuBuild } from '../../helpers/runner-requests.ts'
import { smallDisk } from '../../helpers/small-disk.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { quantizeEntry, spawn } from '../runtime/cria.ts'

export const bundledFolder = path.resolve(import.meta.dirname, '../../../resources/models')
export const forever = new AbortController().signal

/** Stands for the prompt engine: a Jinja text wins where it can do more than the Go text. */
export const inspectTemplates: InspectTemplates = (go, jinja) => {
  const said = (text: string | null, tools: string) => ({ tools: text?.includes(tools) ?? false, thinking: text?.includes('</think>') ?? false })
  const [ofGo, ofJinja] = [said(go, '.Tools'), said(jinja, 'tools')]
  const better = Number(ofJinja.tools) + Number(ofJinja.thinking) > Number(ofGo.tools) + Number(ofGo.thinking)
  if (jinja !== null && (go === null || better)) return { selected: 'jinja', ...ofJinja, insert: false }
  if (go !== null) return { selected: 'go', ...ofGo, insert: go.includes('.Suffix') }
  return { selected: 'none', tools: false, thinking: false, insert: false }
}

export function name(text: string): ModelName {
  const parsed = parseName(text)
  if (parsed === null) throw new Error(`${text} is not a name`)
  return parsed
}

export interface TestLibrary extends AsyncDisposable {
  library: Library
  store: Store
  root: string
  /** Lines of the log. */
  lines: string[]
  hidden: Set<string>
  create(request: CreateRequest, parts?: Partial<CreateParts>): Promise<Progress[]>
  /** Keeps the bytes as a blob, as an upload does. */
  upload(bytes: Uint8Array): Promise<string>
}

/** As the server has it. */
const quantizer: CreateParts['quantizer'] = {
  types: quantizationTypes,
  quantize: (source, target, type, signal) => quantize({ spawn, entry: quantizeEntry, build: cpuBuild }, { source, target, type }, signal),
}
export const createParts = { templateProblem: () => null, quantizer, prune: true }

/** A library over an empty store in a folder of its own; the models that ship only where asked for. */
export async function openLibrary({
  bundled = false,
  root,
  origins = [],
}: {
  bundled?: boolean
  root?: string
  origins?: Origin[]
} = {}): Promise<TestLibrary> {
  const folder = await temporaryFolder()
  const models = root ?? path.join(folder.path, 'models')
  const lines: string[] = []
  const log = new Log('debug', (line) => lines.push(line))
  const store = new Store(models, log)
  await store.prepare()
  const hidden = new Set<string>()
  const all = [...(bundled ? [new Bundled(bundledFolder, log)] : []), ...origins]
  const library = new Library({
    store,
    origins: () => all,
    hidden: { has: (one) => hidden.has(one), add: (one) => void hidden.add(one), remove: (one) => void hidden.delete(one) },
    inspectTemplates,
    log,
  })
  return {
    library,
    store,
    root: models,
    lines,
    hidden,
    create: (request, parts) => Array.fromAsync(createModel({ library, ...createParts, ...parts }, request, forever)),
    upload: async (bytes) => (await store.blobs.write(null, [bytes], forever)).digest,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  }
}

/** The model cria under this name, from its file alone. */
export async function addCria({ upload, create }: TestLibrary, model = 'cria'): Promise<string> {
  const digest = await upload(await readFile(criaFile))
  await create({ model, files: { 'cria.gguf': digest } })
  return digest
}

export const criaDigest = digestOf(await readFile(criaFile))

const run = promisify(execFile)

/** A disk that cannot be written, or null where this user may not mount one. */
export async function readOnlyDisk(): Promise<({ path: string } & AsyncDisposable) | null> {
  const disk = await smallDisk(1)
  if (disk !== null) await run('mount', ['-o', 'remount,ro', disk.path])
  return disk
}
