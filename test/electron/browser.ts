import { existsSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type BrowserContext, chromium, type Route } from 'playwright'

/** Scheme → what `protocol.handle` was given. */
export const schemes = new Map<string, ((request: Request) => Promise<Response>) | null>()

/** Addresses that a page asked for and that no scheme of ours serves; none was let through. */
export const strayRequests: string[] = []

// Chromium refuses an unknown scheme before anybody can answer it, so `app://bundle/x` is `https://bundle.app.double.invalid/x` in there:
// a secure context that can never reach a network.
const suffix = 'double.invalid'
const inChromium = new RegExp(`^https://([^/]+)\\.([a-z][a-z0-9+-]*)\\.${suffix.replace('.', '\\.')}(?=[/?#]|$)`)

export const toChromium = (url: string) =>
  url.replace(/^([a-z][a-z0-9+.-]*):\/\/([^/?#]+)/, (whole, scheme, host) => (schemes.has(scheme) ? `https://${host}.${scheme}.${suffix}` : whole))
export const toApp = (url: string) => url.replace(inChromium, '$2://$1')

/** The scheme's origin, which `URL` calls "null". */
export function originOf(url: string): string {
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}`
}

let opened: Promise<BrowserContext> | undefined
let profile = ''

/** The Chromium that stands for Electron's own; its profile lies in `userData`, so that storage survives a restart. */
export function browser(userData: string): Promise<BrowserContext> {
  opened ??= (async () => {
    profile = path.join(userData, 'chromium')
    // Of a run before.
    rmSync(path.join(profile, 'DevToolsActivePort'), { force: true })
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env.DOUBLE_CHROMIUM ?? '/usr/bin/chromium',
      headless: true,
      viewport: null,
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--remote-debugging-port=0'],
    })
    await context.route('**/*', answer)
    return context
  })()
  return opened
}

export async function closeBrowser(): Promise<void> {
  await (await opened)?.close()
}

/** Where a test connects. Chromium writes it down a moment after it has started. */
export async function debuggingEndpoint(): Promise<string> {
  const file = path.join(profile, 'DevToolsActivePort')
  for (let waited = 0; waited < 400; waited++) {
    // Two lines, the port and a path: one alone is still being written.
    const [port, rest] = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
    if (port !== undefined && rest !== undefined) return `http://127.0.0.1:${port}`
    await setTimeout(50)
  }
  throw new Error('Chromium did not say where its debugger listens')
}

async function answer(route: Route): Promise<void> {
  const request = route.request()
  if (request.isNavigationRequest() && !hasFrame(route)) {
    // A page that window.open is making: `popup` decides on it.
    return route.fulfill({ status: 200, contentType: 'text/html', body: '' })
  }
  const url = toApp(request.url())
  const handler = schemes.get(new URL(url).protocol.slice(0, -1))
  if (handler === undefined || handler === null) {
    strayRequests.push(url)
    return route.abort('internetdisconnected')
  }
  const response = await handler(new Request(url, { method: request.method(), headers: request.headers() }))
  await route.fulfill({ status: response.status, headers: Object.fromEntries(response.headers), body: Buffer.from(await response.arrayBuffer()) })
}

function hasFrame(route: Route): boolean {
  try {
    return route.request().frame() !== null
  } catch {
    return false
  }
}
