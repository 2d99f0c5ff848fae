import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { AppError } from './errors.ts'
import type { Scope, Settings } from './settings.ts'

/** A key as lists show it; the secret itself is shown once, when it is made. */
export interface KeyInfo {
  name: string
  scopes: Scope[]
  createdAt: string
}

/** The keys that other machines present: made here, kept as salted hashes in the settings. */
export class Keys {
  readonly #settings: Settings

  constructor(settings: Settings) {
    this.#settings = settings
  }

  /** Makes a key and gives it; nobody can read it again. Throws `conflict` when the name is taken. */
  async add(name: string, scopes: Scope[]): Promise<string> {
    if (!/^[\w.@ -]{1,64}$/.test(name))
      throw new AppError('invalid-request', `a key's name is 1 to 64 letters, digits, blanks or any of . _ @ -, not ${JSON.stringify(name)}`)
    if (scopes.length === 0) throw new AppError('invalid-request', 'a key needs a scope: use, manage or both')
    // 32 random bytes cannot be guessed, so one round of SHA-256 is enough; a slow hash is for passwords.
    const key = `pad-${randomBytes(32).toString('base64url')}`
    const salt = randomBytes(16)
    this.#settings.update(({ keys }) => {
      if (keys.some((record) => record.name === name)) throw new AppError('conflict', `a key named ${JSON.stringify(name)} exists already; remove it first`)
      return {
        keys: [
          ...keys,
          { name, scopes: [...new Set(scopes)], salt: salt.toString('hex'), hash: digest(salt, key).toString('hex'), createdAt: new Date().toISOString() },
        ],
      }
    })
    return key
  }

  list(): KeyInfo[] {
    return this.#settings.value.keys.map(({ name, scopes, createdAt }) => ({ name, scopes, createdAt }))
  }

  /** Throws `not-found` when there is none of that name. */
  remove(name: string): void {
    this.#settings.update(({ keys }) => {
      const rest = keys.filter((record) => record.name !== name)
      if (rest.length === keys.length) throw new AppError('not-found', `there is no key named ${JSON.stringify(name)}`)
      return { keys: rest }
    })
  }

  /** Whose key this is. Takes equally long for every wrong key: all hashes are compared, in constant time. */
  check(presented: string): { name: string; scopes: Scope[] } | null {
    let found: { name: string; scopes: Scope[] } | null = null
    for (const { name, scopes, salt, hash } of this.#settings.value.keys) {
      const expected = Buffer.from(hash, 'hex')
      const actual = digest(Buffer.from(salt, 'hex'), presented)
      if (expected.length === actual.length && timingSafeEqual(expected, actual)) found = { name, scopes }
    }
    return found
  }
}

function digest(salt: Uint8Array, key: string): Buffer {
  return createHash('sha256').update(salt).update(key).digest()
}
