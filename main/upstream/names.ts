import { AppError } from '../errors.ts'

/** First segments that registries have. */
const registries = ['library', 'registry.ollama.ai', 'ollama.com', 'hf.co', 'huggingface.co', 'localhost']

/** Throws `invalid-request` for a text that cannot be the name of an engine. */
export function checkUpstreamName(name: string): void {
  if (!/^[a-z0-9][a-z0-9_.-]{0,63}$/.test(name))
    throw new AppError(
      'invalid-request',
      `the name of an engine is 1 to 64 of a-z, 0-9, "_", "." and "-", beginning with a letter or digit, not ${JSON.stringify(name)}`,
    )
  if (registries.includes(name))
    throw new AppError('invalid-request', `${JSON.stringify(name)} begins the names of models that registries have: choose another`)
}

/**
 * The address of an engine: without a slash or `/v1` at its end, as both protocols begin there.
 *
 * Throws `invalid-request` for what is no such address, or holds a secret or a query.
 */
export function checkUpstreamUrl(text: string): string {
  const url = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new AppError('invalid-request', `${JSON.stringify(text)} is no address of an engine: give one such as http://gpu.lan:8000`)
  if (url.username !== '' || url.password !== '')
    throw new AppError('invalid-request', 'the address of an engine holds no user and password: give a key with --key')
  if (url.search !== '' || url.hash !== '') throw new AppError('invalid-request', 'the address of an engine ends with its path: no "?" and no "#"')
  return `${url.origin}${url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')}`
}

/** Throws `invalid-request` for a key that no header can carry. */
export function checkUpstreamKey(key: string): void {
  if (!/^[\x21-\x7e]{0,4096}$/.test(key)) throw new AppError('invalid-request', 'a key is printable ASCII without blanks, 4096 characters at most')
}
