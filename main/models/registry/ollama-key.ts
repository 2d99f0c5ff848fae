import { createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'

/** Signs what a registry wants signed; the text of `Authorization`. */
export type Signer = (data: string) => string

/** The key by which the user's Ollama names itself to its registry; null where there is none that can be read. */
export async function readOllamaKey(homeFolder: string): Promise<Signer | null> {
  try {
    return signer(parseOpenSshKey(await readFile(path.join(homeFolder, '.ollama', 'id_ed25519'), 'utf8')))
  } catch {
    // No Ollama here, or a key with a passphrase: the registry takes a stranger or says that it does not.
    return null
  }
}

function signer({ publicBlob, key }: OpenSshKey): Signer {
  return (data) => `${publicBlob.toString('base64')}:${sign(null, Buffer.from(data), key).toString('base64')}`
}

interface OpenSshKey {
  /** As it stands in a line of `authorized_keys`. */
  publicBlob: Buffer
  key: KeyObject
}

/** Reads an Ed25519 key of OpenSSH's own format, without passphrase (OpenSSH, PROTOCOL.key). */
function parseOpenSshKey(text: string): OpenSshKey {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\sA-Za-z0-9+/=]+)-----END/.exec(text)?.[1] ?? ''
  const bytes = Buffer.from(body, 'base64')
  const magic = 'openssh-key-v1\0'
  if (bytes.toString('latin1', 0, magic.length) !== magic) throw new Error('not a private key of OpenSSH')
  const outer = new Fields(bytes.subarray(magic.length))
  if (outer.text() !== 'none') throw new Error('the key has a passphrase')
  outer.text() // How a passphrase becomes a key,
  outer.bytes() // and its parameters.
  if (outer.number() !== 1) throw new Error('more than one key')
  const publicBlob = outer.bytes()
  const inner = new Fields(outer.bytes())
  const check = inner.number()
  if (check !== inner.number()) throw new Error('damaged')
  if (inner.text() !== 'ssh-ed25519') throw new Error('no Ed25519 key')
  const x = inner.bytes().toString('base64url')
  const d = inner.bytes().subarray(0, 32).toString('base64url')
  return { publicBlob, key: createPrivateKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x, d } }) }
}

/** Strings with their length before them, and numbers of four bytes. */
class Fields {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  number(): number {
    this.#at += 4
    return this.#bytes.readUInt32BE(this.#at - 4)
  }

  bytes(): Buffer {
    const length = this.number()
    if (length > this.#bytes.length - this.#at) throw new Error('cut off')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  text(): string {
    return this.bytes().toString('latin1')
  }
}
