import type { Command } from './command.ts'
import { formatBytes, formatTable, formatTime } from './format.ts'
import type { PsAnswer } from './protocol.ts'

export const psCommand: Command = {
  name: 'ps',
  usage: '',
  about: 'List the models that are in memory',
  flags: [],
  words: [0, 0],
  async run({ client, terminal }) {
    const { models } = await client.call<PsAnswer>('GET', '/api/ps')
    const now = new Date()
    const rows = models.map((model) => [
      model.name,
      model.digest.slice(0, 12),
      formatBytes(model.size),
      processor(model.size, model.size_vram),
      String(model.context_length ?? ''),
      until(new Date(model.expires_at), now),
    ])
    terminal.output.write(formatTable([['NAME', 'ID', 'SIZE', 'PROCESSOR', 'CONTEXT', 'UNTIL'], ...rows]))
  },
}

/** Where the model lies, by its bytes. */
export function processor(size: number, onGpu: number): string {
  if (onGpu === 0) return '100% CPU'
  if (onGpu === size) return '100% GPU'
  if (onGpu > size || size === 0) return 'Unknown'
  const cpu = Math.round(((size - onGpu) / size) * 100)
  return `${cpu}%/${100 - cpu}% CPU/GPU`
}

/** A date that has passed means that the model is on its way out. */
export function until(expiresAt: Date, now: Date): string {
  return expiresAt <= now ? 'Stopping...' : formatTime(expiresAt, now)
}
