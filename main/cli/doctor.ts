import type { Client } from './client.ts'
import type { Command } from './command.ts'
import { formatTable } from './format.ts'
import { Progress } from './progress.ts'
import type { Terminal } from './terminal.ts'

interface CheckResult {
  id: string
  title: string
  status: 'passed' | 'failed' | 'not_applicable'
  claimed: boolean
  reason: string
  evidence: string
  /** Nanoseconds. */
  total_duration: number
}

interface DoctorSummary {
  model: string
  passed: number
  failed: number
  not_applicable: number
  broken: string[]
}

/** A line of `/api/doctor`. */
interface DoctorLine {
  status: 'loading' | 'checking' | 'result' | 'success'
  title?: string
  index?: number
  count?: number
  result?: CheckResult
  summary?: DoctorSummary
}

export const doctorCommand: Command = {
  name: 'doctor',
  usage: 'MODEL',
  about: 'See what a model can really do, by a dozen canned dialogues',
  flags: [{ name: 'verbose', short: 'v', type: 'boolean', about: 'Show every reply, not only those that failed' }],
  words: [1, 1],
  details: 'The exit code is 1 when something fails that the model is said to be able to do.',
  async run({ client, terminal }, { words: [model = ''], flags }) {
    const { results, summary } = await examine(client, terminal, model)
    terminal.output.write(report(results, flags.isOn('verbose')))
    terminal.output.write(`\n${summaryLine(summary)}\n`)
    if (summary.broken.length > 0) throw new Error(`${model} does not do what it is said to: ${summary.broken.join(', ')}`)
  },
}

async function examine(client: Client, terminal: Terminal, model: string): Promise<{ results: CheckResult[]; summary: DoctorSummary }> {
  using progress = new Progress(terminal.errors)
  const results: CheckResult[] = []
  for await (const { status, title = '', index = 0, count = 0, result, summary } of client.stream<DoctorLine>('/api/doctor', { model })) {
    if (status === 'loading') progress.status(`loading ${model}`)
    if (status === 'checking') progress.status(`${index + 1} of ${count}: ${title}`)
    if (result) results.push(result)
    if (summary) return { results, summary }
  }
  throw new Error('the server ended the examination before its end')
}

const marks = { passed: 'passed', failed: 'FAILED', not_applicable: '-' } as const

/** A row a check; below those that failed why, and what the model said. */
function report(results: CheckResult[], verbose: boolean): string {
  const table = formatTable([
    ['CHECK', 'RESULT', 'TIME', 'WHY'],
    ...results.map(({ title, status, reason, total_duration: time }) => [
      title,
      marks[status],
      status === 'not_applicable' ? '' : `${(time / 1e9).toFixed(1)} s`,
      reason,
    ]),
  ])
  const shown = results.filter(({ status, evidence }) => evidence !== '' && (verbose || status === 'failed'))
  return table + shown.map(({ title, evidence }) => `\n${title}:\n  ${evidence}\n`).join('')
}

function summaryLine({ model, passed, failed, not_applicable: skipped, broken }: DoctorSummary): string {
  const promised = failed === 0 ? '' : broken.length === 0 ? ', none of which its file promises' : `, ${broken.length} of which its file promises`
  return `${model}: ${passed} passed, ${failed} failed${promised}${skipped > 0 ? `, ${skipped} do not apply` : ''}`
}
