import { AppError } from '../errors.ts'
import type { Capability, Model } from '../models/model.ts'
import { fullName, parseReference } from '../models/name.ts'
import type { GenerationServices } from './services.ts'

/** The model that a request names; `notFound` words the 404, which differs by route. */
export async function findModel(
  { library }: Pick<GenerationServices, 'library'>,
  name: string,
  notFound: (name: string) => string = (text) => `model '${text}' not found`,
): Promise<Model> {
  if (name.trim() === '') throw new AppError('model-not-found', notFound(''))
  const reference = parseReference(name)
  if (reference === null) throw new AppError('invalid-request', 'invalid model name')
  const model = await library.resolve(reference.name)
  if (model === null) throw new AppError('model-not-found', notFound(name))
  return model
}

/** Refuses a model that lacks what the request needs, with the texts of ollama-api §2.4 and §3.2. */
export function demandCapability(model: Model, capability: Capability, text: string): void {
  if (!model.capabilities.includes(capability)) throw new AppError('invalid-request', text)
}

/** `registry.ollama.ai/library/name:tag does not support tools`: several are joined by line breaks. */
export function demandFeatures(model: Model, features: Capability[]): void {
  const missing = features.filter((feature) => !model.capabilities.includes(feature))
  if (missing.length === 0) return
  throw new AppError('invalid-request', `${fullName(model.name)} ${missing.map((feature) => `does not support ${feature}`).join('\n')}`)
}
