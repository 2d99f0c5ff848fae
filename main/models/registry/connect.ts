import type { Outgoing } from '../../lib/outgoing.ts'
import { type Login, RegistryClient } from './client.ts'
import { HuggingFace } from './hugging-face.ts'
import { readOllamaKey } from './ollama-key.ts'

export interface ConnectOptions {
  outgoing: Outgoing
  /** Of this program. */
  version: string
  protocolVersion: string
  hub: {
    /** Base address of Hugging Face, without a slash at the end. */
    endpoint: string
    /** '' for none; asked at each use, as the user may change it. */
    token: () => string
  }
  /** Where the user's Ollama keeps its key. */
  homeFolder: string
  /** Who the user is at a registry that asks for it; null for a stranger. */
  login: (host: string) => Login | null
}

/** A connection on which nothing moves for so long is given up, as the peer does. */
const stallMs = 30_000

/** The way to all registries, and to Hugging Face in particular. */
export function connectRegistries({ hub: { endpoint, token }, homeFolder, ...options }: ConnectOptions): { client: RegistryClient; hub: HuggingFace } {
  const hubOrigin = new URL(endpoint).origin
  const signer = async (host: string) => (/(^|\.)ollama\.(ai|com)$/.test(host) ? readOllamaKey(homeFolder) : null)
  const client = new RegistryClient({ ...options, stallMs, signer, token: (origin) => (origin === hubOrigin ? token() || null : null) })
  return { client, hub: new HuggingFace({ client, endpoint, hasToken: () => token() !== '' }) }
}
