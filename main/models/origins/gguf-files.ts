import path from 'node:path'
import type { JsonObject } from '../../lib/json.ts'
import { joinCapabilities } from '../capabilities.ts'
import { detailsOf } from '../details.ts'
import { parsePartName } from '../gguf-parts.ts'
import { mediaTypes } from '../manifest.ts'
import type { ModelProblem } from '../model.ts'
import type { Entry, Layer } from '../origin.ts'
import { identityDigest, makeEntry } from './entry.ts'
import type { Facts, FileFacts } from './facts.ts'
import { type NameParts, Names, splitStem } from './naming.ts'
import type { Found, FoundFile } from './walk.ts'

/** A GGUF file with what its place says of it. */
export interface PlacedFile extends FoundFile {
  /** Of the name that its model shall have. */
  place: Pick<NameParts, 'namespace' | 'stem' | 'publisher'>
  /** Of its content, where the program that put it there names it so; else null. */
  digest: string | null
}

export function isGguf(name: string): boolean {
  return /\.gguf$/i.test(name)
}

export function stemOf(name: string): string {
  return name.replace(/\.gguf$/i, '')
}

type ModelFacts = Extract<Facts, { kind: 'model' }>
type ProjectorFacts = Extract<Facts, { kind: 'projector' }>

/** The parts of one model that are there, in order, and the names of those that are not. */
interface Group {
  parts: PlacedFile[]
  missing: string[]
  place: PlacedFile['place']
}

interface Projector {
  file: PlacedFile
  facts: ProjectorFacts
}

/** Files as models: parts joined, projectors beside the models that they belong to, each with a name of its own. */
export async function modelsOf(files: readonly PlacedFile[], origin: string, facts: FileFacts, signal: AbortSignal): Promise<Found<Entry>> {
  const warnings: string[] = []
  const models: { group: Group; facts: ModelFacts }[] = []
  const projectors: Projector[] = []
  for (const group of groups(files)) {
    signal.throwIfAborted()
    const { parts, missing } = group
    const known = await facts.read(firstMissing(group) ? [] : missing.length > 0 ? parts.slice(0, 1) : parts, missing.length > 0)
    if (known.kind === 'model') models.push({ group, facts: known })
    else if (known.kind === 'projector') projectors.push({ file: parts[0] as PlacedFile, facts: known })
    else if (missing.length > 0 && known.problem === null) models.push({ group, facts: unknownModel })
    else if (known.problem !== null) warnings.push(`${parts[0]?.file} is left out: ${known.problem}`)
  }
  const names = new Names()
  const found = models.map(({ group, facts: known }) => {
    const name = names.give({ ...group.place, quantization: known.quantization })
    const projector = group.missing.length === 0 ? projectorFor(group, known, projectors) : null
    const layers = [...group.parts.map((part) => layerOf(part, mediaTypes.model)), ...(projector ? [layerOf(projector.file, mediaTypes.projector)] : [])]
    const modifiedAt = new Date(Math.max(...group.parts.map((part) => part.modifiedAt.getTime())))
    const config = projector ? withClip(known.config) : known.config
    const entry = makeEntry({ name, origin, modifiedAt, config, layers })
    return {
      ...entry,
      described: { details: detailsOf(entry.config, null, null), capabilities: joinCapabilities(known.capabilities, projector?.facts.capabilities ?? []) },
      ...problemField(group),
    }
  })
  return { found, warnings }
}

/** What can be said of a model whose first part, which has the header, is missing. */
const unknownModel: ModelFacts = { kind: 'model', config: { model_format: 'gguf' }, capabilities: [], quantization: 'unknown', embeddingLength: null }

function groups(files: readonly PlacedFile[]): Group[] {
  const whole: Group[] = []
  const split = new Map<string, { count: number; parts: Map<number, PlacedFile> }>()
  for (const file of files) {
    const part = parsePartName(file.name)
    if (part === null || part.count === 1) {
      whole.push({ parts: [file], missing: [], place: file.place })
      continue
    }
    const key = [path.dirname(file.file), part.stem, part.count].join('\0')
    const known = split.get(key) ?? { count: part.count, parts: new Map<number, PlacedFile>() }
    known.parts.set(part.index, file)
    split.set(key, known)
  }
  for (const { count, parts } of split.values()) {
    const present = [...parts].sort(([a], [b]) => a - b).map(([, file]) => file)
    const [first] = present
    if (first === undefined) continue
    const names = Array.from({ length: count }, (_, index) => partFile(first.name, index))
    const place = { ...first.place, stem: first.place.stem.replace(/-\d{5}-of-\d{5}$/, '') }
    whole.push({ parts: present, missing: names.filter((_, index) => !parts.has(index)), place })
  }
  return whole.sort((a, b) => ((a.parts[0]?.file ?? '') < (b.parts[0]?.file ?? '') ? -1 : 1))
}

function partFile(sibling: string, index: number): string {
  return sibling.replace(/-\d{5}(-of-\d{5}\.gguf)$/i, `-${String(index + 1).padStart(5, '0')}$1`)
}

function firstMissing({ parts, missing }: Group): boolean {
  return missing.length > 0 && parsePartName(parts[0]?.name ?? '')?.index !== 0
}

function problemField({ parts, missing }: Group): { problem?: ModelProblem } {
  if (missing.length === 0) return {}
  const folder = path.dirname(parts[0]?.file ?? '')
  const shown = missing.length > 4 ? `${missing.slice(0, 3).join(', ')} and ${missing.length - 3} more` : missing.join(', ')
  return { problem: { state: 'incomplete', text: `${missing.length} of its ${parts.length + missing.length} parts are missing in ${folder}: ${shown}` } }
}

/** One that is named like the model; else, of those in its folder that fit its width, the first by precision. */
function projectorFor({ parts, place }: Group, { embeddingLength, capabilities }: ModelFacts, projectors: readonly Projector[]): Projector | null {
  if (capabilities.includes('embedding')) return null
  const folder = path.dirname(parts[0]?.file ?? '')
  const fits = projectors.filter(
    ({ file, facts }) =>
      path.dirname(file.file) === folder && (facts.embeddingLength === null || embeddingLength === null || facts.embeddingLength === embeddingLength),
  )
  const wanted = bareStem(place.stem)
  const named = fits.filter(({ file }) => bareStem(file.place.stem) === wanted)
  const unnamed = fits.filter(({ file }) => bareStem(file.place.stem) === '')
  const candidates = named.length > 0 ? named : unnamed.length > 0 ? unnamed : fits.length === 1 ? fits : []
  return [...candidates].sort((a, b) => rank(a) - rank(b))[0] ?? null
}

/** `mmproj-Qwen2-VL-F16` and `Qwen2-VL-Q4_K_M` are both `qwen2-vl`; `mmproj-F16` is nothing. */
function bareStem(stem: string): string {
  const plain = stem.replace(/[-._]?mm-?proj(?:ector)?[-._]?/i, '')
  return /^(?:BF16|F?P?16|F?P?32|I?Q\d\w*|model)?$/i.test(plain) ? '' : splitStem(plain, '').model.toLowerCase()
}

/** Half precision is what programs attach; full is twice as large for nothing that is seen. */
function rank({ file }: Projector): number {
  const order = ['F16', 'BF16', 'Q8_0', 'F32']
  const at = order.findIndex((type) => new RegExp(`(^|[^A-Z])${type}$`, 'i').test(file.place.stem))
  return at < 0 ? order.length : at
}

function layerOf({ file, digest, sizeBytes, modifiedAt }: PlacedFile, mediaType: string): Layer {
  if (digest !== null) return { mediaType, digest, sizeBytes, file, from: null }
  return { mediaType, digest: identityDigest(file, { sizeBytes, modifiedAt }), unhashed: true, sizeBytes, file, from: null }
}

/** As the protocol marks a model with a projector. */
function withClip(config: JsonObject): JsonObject {
  const families = Array.isArray(config.model_families) ? config.model_families : []
  return families.includes('clip') ? config : { ...config, model_families: [...families, 'clip'] }
}
