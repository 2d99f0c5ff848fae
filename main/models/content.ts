import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { JsonObject } from '../lib/json.ts'
import { mediaTypes } from './manifest.ts'
import { displayName } from './name.ts'
import type { Entry, Layer } from './origin.ts'
import { readBlob } from './small-file.ts'

/** The layers of a model that are text: what a Modelfile says beside the weights. */
export interface ModelTexts {
  /** Go template. */
  template: string | null
  system: string | null
  parameters: JsonObject
  messages: { role: string; content: string }[]
  licenses: string[]
}

const maxTextBytes = 4 * 1024 * 1024

const Parameters = z.record(z.string(), z.json())
const Messages = z.array(z.object({ role: z.string(), content: z.string().default('') })).nullable()

/** Reads the text layers of a model; of those that stand once, the last counts. */
export async function readTexts(entry: Entry): Promise<ModelTexts> {
  const layers = (mediaType: string) => entry.layers.filter((layer) => layer.mediaType === mediaType)
  const text = async (mediaType: string) => {
    const last = layers(mediaType).at(-1)
    return last === undefined ? null : readText(entry, last)
  }
  const json = async <T>(mediaType: string, schema: z.ZodType<T>) => {
    const content = await text(mediaType)
    if (content === null) return null
    try {
      return schema.parse(JSON.parse(content))
    } catch (error) {
      throw new AppError('invalid-model', `the model ${displayName(entry.name)} is damaged: its ${mediaType} layer cannot be read; get it again`, {
        cause: error,
      })
    }
  }
  return {
    template: await text(mediaTypes.template),
    system: await text(mediaTypes.system),
    parameters: withStopList((await json(mediaTypes.params, Parameters)) as JsonObject | null),
    messages: (await json(mediaTypes.messages, Messages)) ?? [],
    licenses: await Promise.all(layers(mediaTypes.license).map((layer) => readText(entry, layer))),
  }
}

function withStopList(parameters: JsonObject | null): JsonObject {
  if (parameters === null) return {}
  return typeof parameters.stop === 'string' ? { ...parameters, stop: [parameters.stop] } : parameters
}

async function readText(entry: Entry, { file, mediaType, digest }: Layer): Promise<string> {
  try {
    return (await readBlob(file, digest, maxTextBytes)).toString('utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new AppError('invalid-model', `the model ${displayName(entry.name)} is damaged: its ${mediaType} layer ${file}: ${reason}; get it again`, {
      cause: error,
    })
  }
}
