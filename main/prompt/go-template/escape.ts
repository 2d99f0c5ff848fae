import { isPrintable } from './quote.ts'

const htmlEntities: Record<string, string> = { '\0': '\ufffd', '"': '&#34;', "'": '&#39;', '&': '&amp;', '<': '&lt;', '>': '&gt;' }
const jsEscapes: Record<string, string> = { '\\': '\\\\', "'": "\\'", '"': '\\"', '<': '\\u003C', '>': '\\u003E', '&': '\\u0026', '=': '\\u003D' }

/** Go's `html`. */
export function escapeHtml(text: string): string {
  return text.replace(/[\0"'&<>]/g, (c) => htmlEntities[c] as string)
}

/** Go's `js`. */
export function escapeJs(text: string): string {
  let escaped = ''
  for (const rune of text) {
    if (jsEscapes[rune] !== undefined) escaped += jsEscapes[rune]
    else if (isPrintable(rune)) escaped += rune
    else escaped += `\\u${(rune.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0')}`
  }
  return escaped
}

/** Go's `urlquery`. */
export function escapeQuery(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+')
}
