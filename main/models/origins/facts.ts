import { z } from 'zod'
import { AppError } from '../../errors.ts'
import type { JsonObject } from '../../lib/json.ts'
import { capabilitiesOf, type InspectTemplates, projectedCapabilities } from '../capabilities.ts'
import { configOf } from '../create-config.ts'
import { quantizationOf } from '../details.ts'
import { readGguf } from '../gguf.ts'
import type { GgufHeader } from '../gguf-header.ts'
import { joinHeaders } from '../gguf-parts.ts'
import type { KeptFacts } from '../kept-facts.ts'
import { ModelConfig } from '../manifest.ts'
import { allCapabilities, type Capability } from '../model.ts'
import { identityDigest } from './entry.ts'
import type { FoundFile } from './walk.ts'

/** What lists need to know of a GGUF file or of all parts of one: little, as a library has thousands and a header takes memory. */
export type Facts =
  | { kind: 'model'; config: JsonObject; capabilities: Capability[]; quantization: string; embeddingLength: number | null }
  | { kind: 'projector'; capabilities: Capability[]; embeddingLength: number | null }
  /** An adapter, a vocabulary, a broken file; `problem` where a user would miss a model, `passing` where the next look may find another. */
  | { kind: 'none'; problem: string | null; passing?: boolean }

const capabilities = z.array(z.enum(allCapabilities))
/** As they are kept; `passing` ones are not. */
const KeptFact: z.ZodType<Facts> = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('model'),
    config: z.record(z.string(), z.json()).transform((config) => config as JsonObject),
    capabilities,
    quantization: z.string(),
    embeddingLength: z.number().nullable(),
  }),
  z.object({ kind: z.literal('projector'), capabilities, embeddingLength: z.number().nullable() }),
  z.object({ kind: z.literal('none'), problem: z.string().nullable() }),
])

/** Facts of files, read once as long as the files stay as they are. */
export class FileFacts {
  readonly #inspect: InspectTemplates
  readonly #kept: KeptFacts | null
  #known = new Map<string, Facts>()
  #used = new Map<string, Facts>()

  /** @param kept where they outlast the program */
  constructor(inspect: InspectTemplates, kept: KeptFacts | null = null) {
    this.#inspect = inspect
    this.#kept = kept
  }

  /** @param parts all files of one model in order; the first alone where some are missing */
  async read(parts: readonly FoundFile[], missing: boolean): Promise<Facts> {
    const key = parts.map((part) => `${identityDigest(part.file, part)} ${part.inode}`).join(missing ? ' …' : ' ')
    const facts = this.#known.get(key) ?? this.#kept?.get(key, KeptFact) ?? (await this.#fresh(key, parts, missing))
    if (facts.kind !== 'none' || !facts.passing) this.#used.set(key, facts)
    return facts
  }

  /** Forgets what has not been asked for since the last time: those files are gone. */
  tidy(): void {
    this.#known = this.#used
    this.#used = new Map()
  }

  async #fresh(key: string, parts: readonly FoundFile[], missing: boolean): Promise<Facts> {
    const facts = await this.#look(parts, missing)
    if (parts.length > 0 && (facts.kind !== 'none' || !facts.passing)) this.#kept?.set(key, { ...facts })
    return facts
  }

  async #look(parts: readonly FoundFile[], missing: boolean): Promise<Facts> {
    try {
      const files = parts.map(({ file }) => file)
      const headers: GgufHeader[] = []
      for (const file of files) headers.push(await readGguf(file))
      const [first] = headers
      if (first === undefined) return { kind: 'none', problem: null }
      return this.#describe(missing ? first : joinHeaders(headers, files), missing)
    } catch (error) {
      // A cause is the system's: the file could not be opened or read this time.
      if (error instanceof AppError && error.code === 'invalid-model') return { kind: 'none', problem: error.message, passing: isSystemError(error.cause) }
      if (isSystemError(error)) return { kind: 'none', problem: String(error), passing: true }
      throw error
    }
  }

  #describe(header: GgufHeader, missing: boolean): Facts {
    if (header.architecture === 'clip' || header.type === 'mmproj' || header.type === 'projector') {
      const dimension = header.metadata.get('clip.vision.projection_dim') ?? header.metadata.get('clip.audio.projection_dim')
      return { kind: 'projector', capabilities: projectedCapabilities(header), embeddingLength: typeof dimension === 'number' ? dimension : null }
    }
    if (header.type === 'adapter') return { kind: 'none', problem: null }
    const { rootfs: _, ...whole } = configOf({ base: null, header, layers: [], overrides: {} })
    // The number of parameters is known when all parts are.
    const { model_type: _type, ...partial } = whole
    const config = missing ? partial : whole
    return {
      kind: 'model',
      config,
      capabilities: capabilitiesOf({ config: ModelConfig.parse(config), header, projectors: [], template: null }, this.#inspect),
      quantization: quantizationOf(header),
      embeddingLength: header.embeddingLength,
    }
  }
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error
}
