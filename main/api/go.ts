import { AppError } from '../errors.ts'

/** Names of JSON kinds in the peer's messages, which clients see. */
export function goKind(value: unknown): string {
  if (value === undefined || value === null) return '<nil>'
  if (typeof value === 'number') return 'float64'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'string') return 'string'
  return Array.isArray(value) ? '[]interface {}' : 'map[string]interface {}'
}

/** Bytes of a standard base64 text, line breaks aside; throws with Go's words, which name the first byte that is none. */
export function decodeBase64(encoded: string): Uint8Array {
  const alphabet = /^[A-Za-z0-9+/\r\n]*/.exec(encoded)?.[0] ?? ''
  if (!/^={0,2}[\r\n]*$/.test(encoded.slice(alphabet.length))) throw illegal(alphabet.length)
  const bare = encoded.replace(/[\r\n]/g, '')
  if (bare.length % 4 !== 0) throw illegal(bare.length - (bare.length % 4))
  return Buffer.from(bare, 'base64')
}

function illegal(at: number): AppError {
  return new AppError('invalid-request', `illegal base64 data at input byte ${at}`)
}
