/** One event may hold the log-probabilities of many tokens, but not more than this. */
const longestLine = 16 * 1024 * 1024

/** Lines of a byte stream as they come, with either line end; characters may be cut anywhere. Throws what `fail` makes for a line without end. */
export async function* lines(chunks: AsyncIterable<Uint8Array>, fail: (what: string) => Error): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder()
  let pieces: string[] = []
  let length = 0
  const whole = (last: string) => {
    const line = pieces.length === 0 ? last : pieces.join('') + last
    pieces = []
    length = 0
    return line.endsWith('\r') ? line.slice(0, -1) : line
  }
  for await (const chunk of chunks) {
    const text = decoder.decode(chunk, { stream: true })
    let from = 0
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      yield whole(text.slice(from, end))
      from = end + 1
    }
    if (from < text.length) {
      pieces.push(text.slice(from))
      length += text.length - from
      if (length > longestLine) throw fail(`sends a line of more than ${longestLine / 1024 / 1024} MB`)
    }
  }
  const rest = whole(decoder.decode())
  if (rest !== '') yield rest
}

/** The data of server-sent events, an event each; comments and other fields are skipped. */
export async function* eventData(source: AsyncIterable<string>, fail: (what: string) => Error): AsyncGenerator<string, void, undefined> {
  let data: string[] = []
  let length = 0
  for await (const line of source) {
    if (line === '') {
      if (data.length > 0) yield data.join('\n')
      data = []
      length = 0
    } else if (line.startsWith('data:')) {
      const text = line.slice(line[5] === ' ' ? 6 : 5)
      data.push(text)
      length += text.length
      if (length > longestLine) throw fail(`sends an event of more than ${longestLine / 1024 / 1024} MB`)
    }
  }
  if (data.length > 0) yield data.join('\n')
}
