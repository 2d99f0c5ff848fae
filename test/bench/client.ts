import { Agent, request } from 'node:http'

/** A connection for each request: llama.cpp's server ends them after a stream, and both sides shall do the same work. */
const agent = new Agent({ keepAlive: false, maxSockets: 64 })

/** When things happened in one streamed reply; milliseconds from the sending of the request. */
export interface Timing {
  firstMs: number
  lastMs: number
  /** Lines with text in them: one a token in every server here. */
  tokens: number
  /** Of these, how many came with the first bytes. */
  firstTokens: number
  /** The last object of the stream. */
  final: Record<string, unknown>
}

/** Tokens a second from the first bytes to the last, those in the first bytes not counted. */
export function decodeRate({ firstMs, lastMs, tokens, firstTokens }: Timing): number {
  if (tokens - firstTokens < 8) throw new Error(`a reply of ${tokens} tokens, ${firstTokens} of them in the first bytes, is too short to be timed`)
  return ((tokens - firstTokens) / (lastMs - firstMs)) * 1000
}

/** Posts and reads a stream of lines, NDJSON or SSE; it only looks for line ends, so as to take little of the processor that it shares with the server. */
export async function stream(url: string, body: unknown): Promise<Timing> {
  const { promise, resolve, reject } = Promise.withResolvers<Timing>()
  const text = JSON.stringify(body)
  const started = performance.now()
  const call = request(
    url,
    { method: 'POST', agent, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) } },
    (response) => {
      let firstMs = 0
      let lastMs = 0
      let tokens = 0
      let firstTokens = 0
      let unread = ''
      const last: string[] = []
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        const now = performance.now() - started
        const isFirst = firstMs === 0
        if (isFirst) firstMs = now
        unread += chunk
        const lines = unread.split('\n')
        unread = lines.pop() ?? ''
        for (const line of lines) {
          if (line === '' || line === 'data: [DONE]') continue
          last[0] = line
          tokens++
        }
        if (isFirst) firstTokens = tokens
        lastMs = now
      })
      response.on('error', reject)
      response.on('end', () => {
        const line = (last[0] ?? unread).replace(/^data: /, '')
        if (response.statusCode !== 200) return reject(new Error(`${url} ${response.statusCode}: ${line || unread}`))
        // The last line has the figures and no token.
        resolve({ firstMs, lastMs, tokens: tokens - 1, firstTokens, final: JSON.parse(line) as Record<string, unknown> })
      })
    },
  )
  call.on('error', reject)
  call.end(text)
  return await promise
}

/** Posts and reads one object. */
export async function whole(url: string, body?: unknown): Promise<{ ms: number; answer: Record<string, unknown> }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ ms: number; answer: Record<string, unknown> }>()
  const text = body === undefined ? undefined : JSON.stringify(body)
  const started = performance.now()
  const call = request(url, { method: text === undefined ? 'GET' : 'POST', agent }, (response) => {
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('error', reject)
    response.on('end', () => {
      const ms = performance.now() - started
      const read = Buffer.concat(chunks).toString()
      if (response.statusCode !== 200) return reject(new Error(`${url} ${response.statusCode}: ${read}`))
      resolve({ ms, answer: JSON.parse(read) as Record<string, unknown> })
    })
  })
  call.on('error', reject)
  call.end(text)
  return await promise
}
