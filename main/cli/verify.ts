import type { Command } from './command.ts'
import { Progress } from './progress.ts'

type Line =
  | { status: 'verifying'; digest: string; completed: number; total: number }
  | { status: 'intact' | 'damaged' | 'missing' | 'unreadable'; digest: string; file: string; models: string[]; removed?: boolean }

export const verifyCommand: Command = {
  name: 'verify',
  usage: '[MODEL]',
  about: 'Check the files of a model, or of all, against their digests',
  flags: [{ name: 'remove-damaged', type: 'boolean', about: 'Remove damaged files, so that pulling the model again mends it' }],
  words: [0, 1],
  details: 'The exit code is 1 when a file is damaged or missing.',
  async run({ client, terminal }, { words: [model = ''], flags }) {
    let intact = 0
    const faults: string[] = []
    {
      using progress = new Progress(terminal.errors)
      for await (const line of client.stream<Line>('/api/verify', { model, remove_damaged: flags.isOn('remove-damaged') })) {
        const short = line.digest.slice(0, 'sha256:'.length + 12)
        if (line.status === 'verifying') progress.bar(line.digest, `verifying ${short}`, line.completed, line.total)
        else if (line.status === 'intact') intact++
        else faults.push(`${line.status}${line.removed ? ' and removed' : ''}: ${line.file} (${line.models.join(', ')})`)
      }
    }
    for (const fault of faults) terminal.output.write(`${fault}\n`)
    terminal.output.write(`${intact} file${intact === 1 ? '' : 's'} intact, ${faults.length} not\n`)
    if (faults.length > 0)
      throw new Error(
        flags.isOn('remove-damaged') ? 'pull the models named above again' : 'run it again with --remove-damaged, then pull the models named above',
      )
  },
}
