import { request } from 'node:http'
import { text } from 'node:stream/consumers'

export interface Answer {
  status: number
  headers: Record<string, string>
  text: string
}

/** One exchange as the bytes go over the wire: any path, any `Host`, no redirect followed, the connection closed afterwards. */
export async function exchange(
  base: string,
  { method, path, headers = {}, body }: { method: string; path: string; headers?: Record<string, string>; body?: string | Uint8Array | undefined },
): Promise<Answer> {
  const { hostname, port } = new URL(base)
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  // Node frames the body of a DELETE only when it is told its length.
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
  const call = request({ hostname, port, method, path, headers: { connection: 'close', ...length, ...headers } }, (response) => {
    const flat = Object.entries(response.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')])
    text(response).then((read) => resolve({ status: response.statusCode ?? 0, headers: Object.fromEntries(flat), text: read }), reject)
  })
  call.on('error', reject)
  call.end(body)
  return await promise
}

/** Posts JSON and gives the parsed answer with its status. */
export async function post(base: string, path: string, body: unknown, signal?: AbortSignal): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(base + path, { method: 'POST', body: JSON.stringify(body), ...(signal && { signal }) })
  const read = await response.text()
  return { status: response.status, body: read === '' ? {} : JSON.parse(read) }
}

export async function get<T = Record<string, unknown>>(base: string, path: string): Promise<T> {
  return (await (await fetch(base + path)).json()) as T
}

/** Posts and reads a native stream to its end, an object a line. */
export async function postLines(base: string, path: string, body: unknown): Promise<Record<string, unknown>[]> {
  const response = await fetch(base + path, { method: 'POST', body: JSON.stringify(body) })
  return (await response.text())
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** Posts and reads a stream of server-sent events to its end; what is not JSON (`[DONE]`) stays text. */
export async function postEvents(base: string, path: string, body: unknown): Promise<unknown[]> {
  const response = await fetch(base + path, { method: 'POST', body: JSON.stringify(body) })
  return (await response.text())
    .split('\n\n')
    .filter((block) => block !== '')
    .map((block) => {
      const data = block.replace(/^data: /, '')
      return data.startsWith('{') ? (JSON.parse(data) as unknown) : data
    })
}
