import { type Flags, UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { formatTable, printable } from './format.ts'
import type { ShowAnswer } from './protocol.ts'

const parts = ['license', 'modelfile', 'parameters', 'template', 'system'] as const

export const showCommand: Command = {
  name: 'show',
  usage: 'MODEL',
  about: 'Show what a model is',
  flags: [
    { name: 'license', type: 'boolean', about: 'Show its license' },
    { name: 'modelfile', type: 'boolean', about: 'Show a Modelfile that makes it again' },
    { name: 'parameters', type: 'boolean', about: 'Show its parameters' },
    { name: 'system', type: 'boolean', about: 'Show its system message' },
    { name: 'template', type: 'boolean', about: 'Show its prompt template' },
    { name: 'verbose', short: 'v', type: 'boolean', about: 'Show all that the file says, and its tensors' },
  ],
  words: [1, 1],
  async run({ client, terminal }, { words: [model], flags }) {
    const part = chosenPart(flags)
    const verbose = flags.isOn('verbose')
    const answer = await client.call<ShowAnswer>('POST', '/api/show', { model, verbose })
    const shown = part === null ? modelTables(answer, verbose) : `${answer[part] ?? ''}\n`
    terminal.output.write(terminal.output.isTTY ? printable(shown) : shown)
  },
}

function chosenPart(flags: Flags): (typeof parts)[number] | null {
  const chosen = parts.filter((part) => flags.isOn(part))
  if (chosen.length > 1) throw new UsageError("only one of '--license', '--modelfile', '--parameters', '--system', or '--template' can be specified")
  return chosen[0] ?? null
}

/** Lines of a license or a system message that an overview shows. */
const excerptLines = 2

/** A model at a glance, in the tables of Ollama's `show`. */
export function modelTables(answer: ShowAnswer, verbose = false): string {
  const tables: [title: string, rows: string[][]][] = [
    ['Model', modelRows(answer)],
    ['Projector', projectorRows(answer)],
    ['Capabilities', (answer.capabilities ?? []).map((capability) => [capability])],
    ['Parameters', (answer.parameters ?? '').split('\n').map(parameterRow)],
    ['Metadata', verbose ? Object.entries(answer.model_info ?? {}).map(([key, value]) => [key, shortJson(value)]) : []],
    ['Tensors', verbose ? (answer.tensors ?? []).map(({ name, type, shape }) => [name, type, `[${shape.join(' ')}]`]) : []],
    ['System', excerpt(answer.system ?? '')],
    ['License', excerpt(answer.license ?? '')],
  ]
  return tables
    .map(([title, rows]): [string, string[][]] => [title, rows.filter((row) => row.some((cell) => cell !== ''))])
    .filter(([, rows]) => rows.length > 0)
    .map(([title, rows]) => `  ${title}\n${formatTable(rows).replace(/^(?=.)/gm, '    ')}\n`)
    .join('')
}

function modelRows({ details, model_info: info = {}, requires, remote_host: host }: ShowAnswer): string[][] {
  const architecture = String(info['general.architecture'] ?? details?.family ?? '')
  const value = (key: string) => (info[`${architecture}.${key}`] === undefined ? '' : String(info[`${architecture}.${key}`]))
  const rows = [
    ['architecture', architecture],
    ['parameters', details?.parameter_size ?? ''],
    ['context length', value('context_length')],
    ['embedding length', value('embedding_length')],
    ['quantization', details?.quantization_level ?? ''],
    ['requires', requires ?? ''],
    ['runs at', host ?? ''],
  ]
  return rows.filter(([, cell]) => cell !== '')
}

function projectorRows({ projector_info: info }: ShowAnswer): string[][] {
  if (!info) return []
  const architecture = String(info['general.architecture'] ?? '')
  const rows = [
    ['architecture', architecture],
    ['parameters', String(info['general.parameter_count'] ?? '')],
    ['embedding length', String(info[`${architecture}.vision.embedding_length`] ?? '')],
    ['dimensions', String(info[`${architecture}.vision.projection_dim`] ?? '')],
  ]
  return rows.filter(([, cell]) => cell !== '')
}

function parameterRow(line: string): string[] {
  const [, name = '', value = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? []
  return [name, value]
}

function shortJson(value: unknown): string {
  const text = Array.isArray(value)
    ? `[${value
        .slice(0, 3)
        .map((item) => JSON.stringify(item))
        .join(', ')}${value.length > 3 ? `, ...+${value.length - 3} more` : ''}]`
    : typeof value === 'string'
      ? value
      : JSON.stringify(value)
  return text.replaceAll(/[\r\n]+/g, ' ').slice(0, 100)
}

function excerpt(text: string): string[][] {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  const rows = lines.slice(0, excerptLines).map((line) => [line])
  return lines.length > excerptLines ? [...rows, ['...']] : rows
}
