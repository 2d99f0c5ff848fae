/** What a registry asks for with a 401. */
export interface Challenge {
  realm: URL
  service: string
  /** Several, when one token shall do for several things. */
  scopes: string[]
}

/** Reads `Bearer realm="…",service="…",scope="…"`; null when it is none, or its realm no address. */
export function parseChallenge(header: string | undefined): Challenge | null {
  const [, scheme, rest = ''] = /^\s*(\w+)\s+(.*)$/s.exec(header ?? '') ?? []
  if (scheme?.toLowerCase() !== 'bearer') return null
  const fields = new Map<string, string>()
  for (const [, key = '', quoted, bare] of rest.matchAll(/([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g)) {
    fields.set(key.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? bare ?? '')
  }
  const realm = fields.get('realm') ?? ''
  if (!/^https?:\/\//i.test(realm) || !URL.canParse(realm)) return null
  return { realm: new URL(realm), service: fields.get('service') ?? '', scopes: (fields.get('scope') ?? '').split(' ').filter(Boolean) }
}

export function asksForBasic(header: string | undefined): boolean {
  return /^\s*basic\b/i.test(header ?? '')
}
