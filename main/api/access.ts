import { createHash, timingSafeEqual } from 'node:crypto'
import { isLoopback } from '../config.ts'
import { AppError } from '../errors.ts'
import type { Scope } from '../settings.ts'
import type { ApiServices } from './services.ts'

/** Throws `unauthorized` or `forbidden` unless the request carries a key for the scope, where one is demanded. */
export type Access = (header: (name: string) => string | undefined, scope: Scope) => void

/** Keys are demanded beyond loopback as soon as one exists, and on loopback where the configuration says so (design §4). */
export function access({ config, keys, ownerToken }: Pick<ApiServices, 'config' | 'keys' | 'ownerToken'>): Access {
  const exposed = !isLoopback(config.listen.host)
  const owner = ownerToken === undefined ? null : digest(ownerToken)
  return (header, scope) => {
    if (!config.requireKey && (!exposed || keys.list().length === 0)) return
    const presented = [/^bearer +(.+)$/i.exec(header('authorization') ?? '')?.[1], header('x-api-key')].filter((key) => key !== undefined)
    if (owner !== null && presented.some((key) => timingSafeEqual(digest(key), owner))) return
    const known = presented.map((key) => keys.check(key)).find((key) => key !== null)
    if (known === undefined) {
      const problem = presented.length === 0 ? 'this server asks for a key' : 'the key is not known'
      throw new AppError('unauthorized', `${problem}: send one as "Authorization: Bearer …" or "x-api-key"; "paddock key add" on the server makes one`)
    }
    if (!known.scopes.includes(scope))
      throw new AppError('forbidden', `the key ${JSON.stringify(known.name)} does not allow to ${scope === 'manage' ? 'change models' : 'use models'}`)
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
