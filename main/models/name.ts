import path from 'node:path'
import { AppError } from '../errors.ts'

/** A model's full name; parts keep the case they were written in. */
export interface ModelName {
  host: string
  namespace: string
  model: string
  tag: string
}

const defaults = { host: 'registry.ollama.ai', namespace: 'library', tag: 'latest' }

// Ollama's grammar: a part begins with a letter, a digit or an underscore, so that no part can be `.` or `..`.
const hostPart = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}$/
const namespacePart = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,79}$/
const modelPart = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$/

/**
 * Reads `[scheme://][host[:port]/][namespace/]model[:tag]`; what is left out gets the registry's defaults.
 *
 * @returns null when the text is not a name
 */
export function parseName(text: string): ModelName | null {
  const bare = text.trim().replace(/^https?:\/\//, '')
  const parts = bare.split('/')
  const last = parts.pop() ?? ''
  const colon = last.indexOf(':')
  const model = colon < 0 ? last : last.slice(0, colon)
  const tag = colon < 0 ? defaults.tag : last.slice(colon + 1)
  const namespace = parts.pop() ?? defaults.namespace
  const host = parts.pop() ?? defaults.host
  if (parts.length > 0) return null
  const name = { host, namespace, model, tag }
  return isName(name) ? name : null
}

/** True when every part keeps to the grammar. */
export function isName({ host, namespace, model, tag }: ModelName): boolean {
  return hostPart.test(host) && namespacePart.test(namespace) && modelPart.test(model) && modelPart.test(tag)
}

/** Shortest form that still names the model, the tag always shown: `llama3.2:latest`, `hf.co/a/b:Q4_K_M`. */
export function displayName({ host, namespace, model, tag }: ModelName): string {
  if (host !== defaults.host) return `${host}/${namespace}/${model}:${tag}`
  if (namespace !== defaults.namespace) return `${namespace}/${model}:${tag}`
  return `${model}:${tag}`
}

/** `registry.ollama.ai/library/llama3.2:latest`. */
export function fullName({ host, namespace, model, tag }: ModelName): string {
  return `${host}/${namespace}/${model}:${tag}`
}

/** Names that differ only in case are one model: equal keys. */
export function nameKey(name: ModelName): string {
  return fullName(name).toLowerCase()
}

/** A name as a request gives it, with the suffix that says where the model shall run. */
export interface ModelReference {
  name: ModelName
  source: 'local' | 'cloud' | null
}

/**
 * Like `parseName`, and knows `name:cloud`, `name:tag:cloud`, `name:tag-cloud`, `name:local` and `name:tag:local`.
 *
 * The name of a cloud model keeps a tag that ends in `cloud`; `:local` is taken off. Throws when both are given.
 */
export function parseReference(text: string): ModelReference | null {
  const [, rest = '', suffix = ''] = /^(.*?)((?::(?:cloud|local))*)$/is.exec(text.trim()) ?? []
  const wanted = new Set(suffix.toLowerCase().split(':').filter(Boolean))
  const name = parseName(rest)
  if (name === null) return null
  const tagged = /:[^/]*$/.test(rest)
  const legacyCloud = tagged && name.tag.endsWith('-cloud')
  if (wanted.has('local') && (wanted.has('cloud') || legacyCloud)) {
    throw new AppError('invalid-request', `use either :local or :cloud, not both: ${JSON.stringify(text.trim())}`)
  }
  if (wanted.has('cloud')) {
    const tag = tagged ? (legacyCloud ? name.tag : `${name.tag}-cloud`) : 'cloud'
    return { name: { ...name, tag }, source: 'cloud' }
  }
  if (wanted.has('local')) return { name, source: 'local' }
  return { name, source: legacyCloud ? 'cloud' : null }
}

const devices = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i

/**
 * Where a name's manifest lies under `root`; the only place where names become paths.
 *
 * Windows has no `:` in file names, so a port is written with `%3A` there; it also reserves some names, which are refused.
 */
export function manifestPath(root: string, name: ModelName, platform: NodeJS.Platform = process.platform): string {
  if (!isName(name)) throw new AppError('invalid-request', 'invalid model name')
  const parts = pathParts(name, platform)
  if (platform === 'win32') {
    const bad = parts.find((part) => devices.test(part) || part.endsWith('.'))
    if (bad !== undefined) throw new AppError('invalid-request', `invalid model name: Windows does not allow a file called ${JSON.stringify(bad)}`)
  }
  return path.join(root, ...parts)
}

/** The four folder and file names of a manifest. */
export function pathParts({ host, namespace, model, tag }: ModelName, platform: NodeJS.Platform = process.platform): [string, string, string, string] {
  return [platform === 'win32' ? host.replaceAll(':', '%3A') : host, namespace, model, tag]
}

/** The name whose manifest has these four path parts; null when it could not be one of ours. */
export function nameOfParts(host: string, namespace: string, model: string, tag: string): ModelName | null {
  const name = { host: host.replaceAll('%3A', ':'), namespace, model, tag }
  return isName(name) ? name : null
}
