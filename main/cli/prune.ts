import type { Command } from './command.ts'
import { formatBytes } from './format.ts'

export const pruneCommand: Command = {
  name: 'prune',
  usage: '',
  about: 'Remove files that no model needs',
  flags: [{ name: 'dry-run', type: 'boolean', about: 'Only say what would be removed' }],
  words: [0, 0],
  details:
    'Files younger than an hour stay, as they may be part of a model that is being made, and so do downloads that were stopped but not cancelled. A models folder of another program is left alone.',
  async run({ client, terminal }, { flags }) {
    const dryRun = flags.isOn('dry-run')
    const { removed, size } = await client.call<{ removed: { digest: string; size: number }[]; size: number }>('POST', '/api/prune', { dry_run: dryRun })
    for (const blob of removed) terminal.output.write(`${blob.digest.slice(0, 'sha256:'.length + 12)}  ${formatBytes(blob.size)}\n`)
    const count = `${removed.length} file${removed.length === 1 ? '' : 's'}, ${formatBytes(size)}`
    terminal.output.write(removed.length === 0 ? 'nothing to remove\n' : `${dryRun ? 'would remove' : 'removed'} ${count}\n`)
  },
}
