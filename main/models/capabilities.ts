import type { GgufHeader } from './gguf-header.ts'
import type { ModelConfig } from './manifest.ts'
import { allCapabilities, type Capability } from './model.ts'

/** What the texts of a model's templates say: which one is used, and what it can do. Passed in, as it is the prompt engine's knowledge. */
export type InspectTemplates = (
  go: string | null,
  jinja: string | null,
) => { selected: 'go' | 'jinja' | 'none'; tools: boolean; thinking: boolean; insert: boolean }

const senses = ['vision', 'audio'] as const

interface Described {
  config: ModelConfig
  header: GgufHeader
  projectors: GgufHeader[]
  /** Go template of a layer. */
  template: string | null
}

/** What a model can do: from its config, its header, its projectors and its templates (native protocol reference, §5.4). */
export function capabilitiesOf({ config, header, projectors, template }: Described, inspect: InspectTemplates): Capability[] {
  const found = new Set<Capability>(config.capabilities?.filter((name) => (allCapabilities as readonly string[]).includes(name)) as Capability[] | undefined)
  const has = (key: string) => header.metadata.has(`${header.architecture}.${key}`)

  if (has('pooling_type')) {
    found.add('embedding')
  } else {
    found.add('completion')
    const templates = inspect(template, header.chatTemplate)
    if (templates.tools) found.add('tools')
    if (templates.thinking) found.add('thinking')
    if (templates.insert) found.add('insert')
    if (['gptoss', 'gpt-oss'].includes(config.model_family || header.architecture)) found.add('thinking')
  }
  for (const sense of senses) if (has(`${sense}.block_count`)) found.add(sense)
  return joinCapabilities([...found], ...projectors.map(projectedCapabilities))
}

/** What a projector adds to the model that it belongs to. */
export function projectedCapabilities(projector: GgufHeader): Capability[] {
  return senses.filter((sense) => projects(projector, sense))
}

/** All of them once, in the order in which they are listed. */
export function joinCapabilities(...lists: Capability[][]): Capability[] {
  const found = new Set(lists.flat())
  return allCapabilities.filter((capability) => found.has(capability))
}

/** Files from before `has_vision_encoder` existed are all for vision. */
function projects({ metadata }: GgufHeader, what: 'vision' | 'audio'): boolean {
  const declared = metadata.get(`clip.has_${what}_encoder`)
  if (declared !== undefined) return declared === true
  return what === 'vision' && metadata.get('clip.has_audio_encoder') !== true
}
