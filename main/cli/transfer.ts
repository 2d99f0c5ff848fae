import type { Flag } from './arguments.ts'
import type { Context } from './command.ts'
import { Progress } from './progress.ts'
import type { ProgressLine } from './protocol.ts'

export const insecureFlag: Flag = { name: 'insecure', type: 'boolean', about: 'Allow a registry without TLS' }

/** Of the help: what can stand for MODEL. */
export const modelNames = 'MODEL is NAME[:TAG] of ollama.com, HOST/NAMESPACE/NAME[:TAG] of another registry, or hf.co/USER/REPOSITORY[:QUANTISATION].'

/** Follows a stream of progress lines, with a bar for each blob, until the server says `success`; gives that line. The signal closes the connection, which stops the server's work. */
export async function followProgress(
  { client, terminal }: Pick<Context, 'client' | 'terminal'>,
  path: string,
  body: object,
  signal?: AbortSignal,
): Promise<ProgressLine> {
  using progress = new Progress(terminal.errors)
  let latest: ProgressLine | null = null
  for await (const line of client.stream<ProgressLine>(path, { ...body, stream: true }, signal)) {
    const { status, digest, total, completed = 0 } = line
    latest = line
    if (digest !== undefined && total !== undefined) progress.bar(digest, status, completed, total)
    else progress.status(status)
  }
  if (latest?.status !== 'success') throw new Error('the server stopped before it was done')
  progress.stop({ keep: true })
  if (terminal.errors.isTTY) terminal.errors.write('success\n')
  return latest
}
