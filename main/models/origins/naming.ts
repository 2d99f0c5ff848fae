import { createHash } from 'node:crypto'
import { isName, type ModelName, nameKey } from '../name.ts'

/** What a file says of the name that its model shall have; nothing of it need be valid. */
export interface NameParts {
  /** Repository or folder. */
  namespace: string
  /** The file's name without its ending. */
  stem: string
  /** Of the weights, by the header. */
  quantization: string
  /** What tells apart two of the same namespace: the publisher, the folder above. */
  publisher: string | null
}

const maxPart = 80
const defaultHost = 'registry.ollama.ai'
// Windows has no files of these names, and a copy of the model in our store needs one.
const devices = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i

/** How quantisations are written at the end of a file's name: `-Q4_K_M`, `.UD-IQ2_XXS`, `_f16`. */
const quantizationAtEnd = /[-._]((?:UD-)?(?:I?Q\d\w*|TQ\d\w*|MXFP4\w*|NVFP4\w*|BF16|F?P?16|F?P?32))$/i

/** Splits a file's name into the model's and its quantisation, which the header gives where the name does not. */
export function splitStem(stem: string, quantization: string): { model: string; tag: string } {
  const [ending, tag] = quantizationAtEnd.exec(stem) ?? []
  return ending === undefined || tag === undefined || ending.length === stem.length
    ? { model: stem, tag: quantization }
    : { model: stem.slice(0, -ending.length), tag: tag.toUpperCase() }
}

/**
 * A valid part of a name from any text, the same for the same text; where much is lost, a hash keeps texts apart.
 *
 * @param dots whether the part may hold dots, as models and tags may and namespaces may not
 */
export function validPart(text: string, dots: boolean): string {
  const plain = text
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(dots ? /[^A-Za-z0-9_.-]+/g : /[^A-Za-z0-9_-]+/g, '-')
    .replace(/^[-.]+/, '')
    .replace(/[-.]+$/, '')
  const lost = [...text].filter((letter) => /[^\p{M}\w\s.,;:!?()[\]{}+@#&=~'"-]/u.test(letter.normalize('NFKD'))).length
  const short = plain.length <= maxPart && plain !== '' && lost === 0
  const kept = short ? plain : [plain.slice(0, maxPart - 9).replace(/[-.]+$/, ''), hashOf(text)].filter((part) => part !== '').join('-')
  return devices.test(kept) ? `_${kept}`.slice(0, maxPart) : kept
}

/** Gives each model a name of its own: two that would share one are told apart by their publishers, then by numbers, in the order in which they come. */
export class Names {
  readonly #taken = new Set<string>()

  give({ namespace, stem, quantization, publisher }: NameParts): ModelName {
    const { model, tag } = splitStem(stem, quantization)
    const name: ModelName = { host: defaultHost, namespace: validPart(namespace, false), model: validPart(model, true), tag: validPart(tag, true) }
    if (!isName(name)) throw new Error(`${JSON.stringify(name)} is not a name`)
    for (const candidate of alternatives(name, publisher)) if (this.take(candidate)) return candidate
    throw new Error('unreachable: the alternatives do not end')
  }

  /** False when the name is another's. */
  take(name: ModelName): boolean {
    const key = nameKey(name)
    if (this.#taken.has(key)) return false
    this.#taken.add(key)
    return true
  }
}

function* alternatives(name: ModelName, publisher: string | null): Generator<ModelName> {
  yield name
  if (publisher !== null) yield { ...name, namespace: validPart(`${publisher}-${name.namespace}`, false) }
  for (let number = 2; ; number++) yield { ...name, model: `${name.model.slice(0, maxPart - 8)}-${number}` }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}
