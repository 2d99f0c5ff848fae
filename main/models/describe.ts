import { z } from 'zod'
import { capabilitiesOf, type InspectTemplates } from './capabilities.ts'
import { readTexts } from './content.ts'
import { detailsOf } from './details.ts'
import type { GgufHeader } from './gguf-header.ts'
import type { HeaderCache } from './headers.ts'
import type { KeptFacts } from './kept-facts.ts'
import { mediaTypes } from './manifest.ts'
import { allCapabilities, type Capability, type ModelDetails } from './model.ts'
import type { Entry, Layer } from './origin.ts'

/** What lists say of a model beside its name. */
export interface Described {
  details: ModelDetails
  capabilities: Capability[]
}

const KeptDescription: z.ZodType<Described> = z.object({
  details: z.object({
    parentModel: z.string(),
    format: z.string(),
    family: z.string(),
    families: z.array(z.string()),
    parameterSize: z.string(),
    quantizationLevel: z.string(),
    contextLength: z.number().nullable(),
    embeddingLength: z.number().nullable(),
  }),
  capabilities: z.array(z.enum(allCapabilities)),
})

/** What is known by this key, which says all on which it depends; else what `look` finds. */
export async function describeOnce(key: string, kept: KeptFacts | null, look: () => Promise<Described>): Promise<Described> {
  const known = kept?.get(key, KeptDescription) ?? null
  if (known !== null) return known
  const read = await look()
  kept?.set(key, { details: { ...read.details }, capabilities: read.capabilities })
  return read
}

export function layersOf(entry: Entry, mediaType: string): Layer[] {
  return entry.layers.filter((layer) => layer.mediaType === mediaType)
}

/** Reads what is needed: headers, and the template where there is one. */
export async function describeEntry(entry: Entry, headers: HeaderCache, inspect: InspectTemplates): Promise<Described> {
  const parts = layersOf(entry, mediaTypes.model)
  if (parts.length === 0) return describeUnread(entry)
  const header = await headers.readModel(parts.map(({ file }) => file))
  const projectors: GgufHeader[] = []
  for (const { file } of layersOf(entry, mediaTypes.projector)) projectors.push(await headers.read(file))
  return describe(entry, { header, projectors, template: (await readTexts(entry)).template }, inspect)
}

/** What its config alone says of a model without files, or with files that cannot be read now. */
export function describeUnread({ config }: Entry): Described {
  return { details: detailsOf(config, null, null), capabilities: (config.capabilities ?? []) as Capability[] }
}

export function describe(entry: Entry, read: { header: GgufHeader; projectors: GgufHeader[]; template: string | null }, inspect: InspectTemplates): Described {
  const [weights] = layersOf(entry, mediaTypes.model)
  return { details: detailsOf(entry.config, read.header, weights?.from ?? null), capabilities: capabilitiesOf({ config: entry.config, ...read }, inspect) }
}

/** What `describeEntry` reads beside the weights, by digest: the same key, the same answer. */
export function decisiveDigests(entry: Entry): string[] {
  const decisive = entry.layers.filter(({ mediaType }) => mediaType === mediaTypes.template || mediaType === mediaTypes.projector)
  return [entry.configBlob.digest, ...layersOf(entry, mediaTypes.model).map(({ from }) => from ?? ''), ...decisive.map(({ digest }) => digest)]
}
