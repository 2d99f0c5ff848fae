import { AppError } from '../errors.ts'

/** What a Modelfile says. Paths and names are as written; parameters are still text (`parseParameters`). */
export interface Modelfile {
  /** Names, files or folders. */
  from: string[]
  adapters: string[]
  draft: string | null
  /** Go template. */
  template: string | null
  system: string | null
  renderer: string | null
  parser: string | null
  /** Least version of the program, as in 0.14.0. */
  requires: string | null
  parameters: [name: string, text: string][]
  licenses: string[]
  messages: { role: string; content: string }[]
}

const commands = ['from', 'license', 'template', 'system', 'adapter', 'draft', 'renderer', 'parser', 'parameter', 'message', 'requires'] as const
type Command = (typeof commands)[number]

const wrongCommand =
  'command must be one of "from", "license", "template", "system", "adapter", "draft", "renderer", "parser", "parameter", "message", or "requires"'
const wrongRole = 'message role must be one of "system", "user", or "assistant"'

/** True for `1.2.3`, with what semver allows behind it and without `v`. */
export function isVersion(text: string): boolean {
  return /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/.test(text)
}

/**
 * Reads a Modelfile (native protocol reference, §12): UTF-8, or UTF-16 with a byte order mark.
 *
 * Throws `invalid-request` with the protocol's texts.
 */
export function parseModelfile(source: string | Uint8Array): Modelfile {
  const modelfile: Modelfile = {
    from: [],
    adapters: [],
    draft: null,
    template: null,
    system: null,
    renderer: null,
    parser: null,
    requires: null,
    parameters: [],
    licenses: [],
    messages: [],
  }
  const lines = splitLines(typeof source === 'string' ? source : decode(source))
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]?.text.trimStart() ?? ''
    if (line === '' || line.startsWith('#')) continue
    const [word = ''] = /^\S+/.exec(line) ?? []
    const command = commands.find((known) => known === word.toLowerCase())
    if (command === undefined) throw new AppError('invalid-request', `(line ${i + 1}): ${wrongCommand}`)
    const { key, rest } = splitKey(command, line.slice(word.length).trimStart(), i + 1)
    // A quoted value goes on until a line ends with its closing quotes; line ends in it stay as they are.
    let raw = rest
    let value = unquote(raw.trim())
    while (value === null) {
      const end = lines[i]?.end ?? ''
      const next = lines[++i]
      if (next === undefined) throw unexpectedEnd()
      raw += end + next.text
      value = unquote(raw.trim())
    }
    apply(modelfile, command, key, value)
  }
  if (modelfile.from.length === 0) throw new AppError('invalid-request', 'no FROM line')
  if (modelfile.requires !== null && !isVersion(modelfile.requires)) {
    throw new AppError('invalid-request', 'requires must be a valid semver (e.g. 0.14.0)')
  }
  if (modelfile.draft !== null && modelfile.from.includes(modelfile.draft)) {
    throw new AppError('invalid-request', `DRAFT must not reference the same local path as FROM: ${modelfile.draft}`)
  }
  return modelfile
}

function apply(modelfile: Modelfile, command: Command, key: string, value: string): void {
  switch (command) {
    case 'from':
      modelfile.from.push(value)
      return
    case 'adapter':
      modelfile.adapters.push(value)
      return
    case 'license':
      modelfile.licenses.push(value)
      return
    case 'parameter':
      modelfile.parameters.push([key, value])
      return
    case 'message':
      modelfile.messages.push({ role: key, content: value })
      return
    case 'template':
    case 'system':
    case 'draft':
    case 'renderer':
    case 'parser':
    case 'requires':
      modelfile[command] = value
      return
    default:
      command satisfies never
  }
}

/** Takes the name off a parameter and the role off a message. */
function splitKey(command: Command, argument: string, lineNumber: number): { key: string; rest: string } {
  if (command !== 'parameter' && command !== 'message') {
    if (argument.trim() === '') throw unexpectedEnd()
    return { key: '', rest: argument }
  }
  const [, key = '', rest = ''] = /^([A-Za-z0-9_]+)\s+(.*)$/s.exec(argument) ?? []
  if (command === 'message' && argument.trim() !== '' && !/^(system|user|assistant)(?!\S)/.test(argument)) {
    throw new AppError('invalid-request', `(line ${lineNumber}): ${wrongRole}`)
  }
  if (key === '' || rest.trim() === '') throw unexpectedEnd()
  return { key, rest }
}

function unexpectedEnd(): AppError {
  return new AppError('invalid-request', 'unexpected EOF')
}

/** The value without its quotes; null while the closing ones are missing. */
function unquote(text: string): string | null {
  for (const quotes of ['"""', '"']) {
    if (!text.startsWith(quotes)) continue
    const closed = text.length >= 2 * quotes.length && text.endsWith(quotes)
    return closed ? text.slice(quotes.length, -quotes.length) : null
  }
  return text
}

interface Line {
  text: string
  end: string
}

function splitLines(text: string): Line[] {
  const parts = text.split(/(\r\n|\n|\r)/)
  const lines: Line[] = []
  for (let i = 0; i < parts.length; i += 2) lines.push({ text: parts[i] ?? '', end: parts[i + 1] ?? '' })
  return lines
}

function decode(bytes: Uint8Array): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : 'utf-8'
  return new TextDecoder(encoding).decode(bytes)
}

/** Writes a Modelfile that reads back as the same. */
export function formatModelfile(modelfile: Modelfile): string {
  const [weights = '', ...projectors] = modelfile.from
  const lines: [command: string, value: string | null][] = [
    ['FROM', weights],
    ...modelfile.adapters.map((file): [string, string] => ['ADAPTER', file]),
    ['DRAFT', modelfile.draft],
    ...projectors.map((file): [string, string] => ['FROM', file]),
    ['TEMPLATE', modelfile.template],
    ['SYSTEM', modelfile.system],
    ['RENDERER', modelfile.renderer],
    ['PARSER', modelfile.parser],
    ['REQUIRES', modelfile.requires],
    ...modelfile.parameters.map(([name, value]): [string, string] => [`PARAMETER ${name}`, value]),
    ...modelfile.licenses.map((license): [string, string] => ['LICENSE', license]),
    ...modelfile.messages.map(({ role, content }): [string, string] => [`MESSAGE ${role}`, content]),
  ]
  return lines.map(([command, value]) => (value === null ? '' : `${command} ${quote(value)}\n`)).join('')
}

function quote(value: string): string {
  const plain = value !== '' && value.trim() === value && !/[\r\n]/.test(value) && !value.startsWith('"')
  if (plain) return value
  return value.includes('"') ? `"""${value}"""` : `"${value}"`
}
