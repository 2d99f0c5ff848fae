import { readFile } from 'node:fs/promises'
import path from 'node:path'

/** The only page there is. */
export const bundleOrigin = 'app://bundle'

/**
 * What a page of ours may do: its own scripts and styles, no other host, no frames, no forms, HTML only through Svelte and the sanitiser.
 *
 * Pictures of other hosts stay out: a reply that shows one could send words there in the address.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "object-src 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types svelte-trusted-html dompurify',
].join('; ')

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
}

/** Serves the files below a folder as `app://bundle/…`, and nothing else. */
export function bundleHandler(folder: string): (request: Request) => Promise<Response> {
  const root = path.resolve(folder)
  const missing = () => new Response(null, { status: 404 })
  return async (request) => {
    const url = new URL(request.url)
    if (request.method !== 'GET' || url.host !== 'bundle') return missing()
    const type = types[path.extname(url.pathname)]
    if (type === undefined) return missing()
    try {
      const file = path.resolve(root, `.${decodeURIComponent(url.pathname)}`)
      if (!file.startsWith(root + path.sep)) return missing()
      return new Response(await readFile(file), {
        headers: {
          'Content-Type': type,
          'Content-Security-Policy': policy,
          'X-Content-Type-Options': 'nosniff',
          'Cross-Origin-Opener-Policy': 'same-origin',
          'Referrer-Policy': 'no-referrer',
        },
      })
    } catch {
      // A name that cannot be decoded, holds a NUL, or is no file of ours.
      return missing()
    }
  }
}
