import { parseParameters } from '../../models/parameters.ts'
import { ServerError } from '../client.ts'
import type { Context } from '../command.ts'
import { formatTable } from '../format.ts'
import { modelTable } from '../list.ts'
import type { ShowAnswer } from '../protocol.ts'
import type { Session } from '../session.ts'
import { modelTables } from '../show.ts'
import { helpText, setHelp, shortcutsHelp, showHelp } from './help.ts'
import type { Lines } from './lines.ts'

/** The commands of the conversation. */
export interface SlashCommands {
  /** Runs a line that begins with a slash. */
  run(line: string): Promise<'leave' | 'stay'>
  setSystem(text: string): void
}

export function slashCommands(context: Context, session: Session, lines: Lines): SlashCommands {
  const { client, terminal } = context
  const { settings } = session
  const say = (text: string) => terminal.output.write(`${text}\n`)

  function set(words: string[]): void {
    const [what = '', ...values] = words
    switch (what) {
      case '':
        say(setHelp)
        break
      case 'history':
      case 'nohistory':
        settings.keepHistory = what === 'history'
        lines.setHistory(settings.keepHistory)
        say(`Set '${what}' mode.`)
        break
      case 'wordwrap':
      case 'nowordwrap':
        settings.wordWrap = what === 'wordwrap'
        say(`Set '${what}' mode.`)
        break
      case 'verbose':
      case 'quiet':
        settings.verbose = what === 'verbose'
        say(`Set '${what}' mode.`)
        break
      case 'think':
      case 'nothink':
        setThink(what, values[0])
        break
      case 'format':
        setFormat(values[0])
        break
      case 'noformat':
        settings.format = null
        say('Disabled format.')
        break
      case 'parameter':
        setParameter(values)
        break
      case 'system':
        if (values.length === 0) say(setHelp)
        else setSystem(values.join(' ').replace(/^"(.*)"$/s, '$1'))
        break
      default:
        say(`Unknown command '/set ${what}'. Type /? for help`)
    }
  }

  function setThink(what: 'think' | 'nothink', level: string | undefined): void {
    if (what === 'think' && !session.capabilities.includes('thinking')) {
      say(`${settings.model} does not think.`)
    } else if (level !== undefined && !['low', 'medium', 'high', 'max'].includes(level)) {
      say(`'${level}' is no level of thinking: low, medium, high or max.`)
    } else {
      settings.think = what === 'think' ? (level ?? true) : false
      say(`Set '${what}' mode${level === undefined ? '.' : ` to '${level}'.`}`)
    }
  }

  function setFormat(format: string | undefined): void {
    if (format !== 'json') {
      say("Invalid or missing format. For 'json' mode use '/set format json'")
      return
    }
    settings.format = format
    say(`Set format to '${format}' mode.`)
  }

  function setParameter([name = '', ...values]: string[]): void {
    if (name === '' || values.length === 0) {
      say(setHelp)
      return
    }
    const [value] = Object.values(parseParameters(values.map((text) => [name, text])))
    settings.options[name] = value ?? null
    say(`Set parameter '${name}' to '${values.join(', ')}'`)
  }

  function setSystem(text: string): void {
    settings.system = text
    say('Set system message.')
  }

  async function show([what = '']: string[]): Promise<void> {
    if (what === '') {
      say(showHelp)
      return
    }
    const answer = await client.call<ShowAnswer>('POST', '/api/show', { model: settings.model })
    switch (what) {
      case 'info':
        say(modelTables(answer).trimEnd())
        break
      case 'license':
        say(answer.license || 'No license was specified for this model.')
        break
      case 'modelfile':
        say(answer.modelfile ?? '')
        break
      case 'parameters':
        say(parametersText(answer))
        break
      case 'system':
        say(settings.system ?? (answer.system || 'No system message was specified for this model.'))
        break
      case 'template':
        say(answer.template || 'No prompt template was specified for this model.')
        break
      default:
        say(`Unknown command '/show ${what}'. Type /? for help`)
    }
  }

  function parametersText({ parameters = '' }: ShowAnswer): string {
    const own = Object.entries(settings.options)
    const model =
      parameters === '' ? 'No additional parameters were specified for this model.' : `Model defined parameters:\n${parameters.replace(/^/gm, '  ')}`
    if (own.length === 0) return model
    return `${model}\n\nUser defined parameters:\n${formatTable(own.map(([name, value]) => [name, JSON.stringify(value)])).replace(/^(?=.)/gm, '  ')}`.trimEnd()
  }

  async function load([model, ...rest]: string[]): Promise<void> {
    if (model === undefined || rest.length > 0) {
      say('Usage:\n  /load <modelname>')
      return
    }
    const before = settings.model
    say(`Loading model '${model}'`)
    settings.model = model
    try {
      await session.open()
      await session.load()
    } catch (error) {
      settings.model = before
      if (!(error instanceof Error && error.cause instanceof ServerError && error.cause.status === 404)) throw error
      say(`Couldn't find model '${model}'`)
      return
    }
    session.messages = []
  }

  async function save([model, ...rest]: string[]): Promise<void> {
    if (model === undefined || rest.length > 0) {
      say('Usage:\n  /save <modelname>')
      return
    }
    const { system, options } = settings
    const messages = session.messages.map(({ role, content }) => ({ role, content }))
    await client.call('POST', '/api/create', {
      model,
      from: settings.model,
      stream: false,
      ...(system !== null && { system }),
      ...(Object.keys(options).length > 0 && { parameters: options }),
      ...(messages.length > 0 && { messages }),
    })
    say(`Created new model '${model}'`)
  }

  return {
    setSystem,
    async run(line) {
      const [name = '', ...words] = line.trim().split(/\s+/)
      switch (name) {
        case '/set':
          // The text of a system message keeps its blanks.
          set(words[0] === 'system' && words.length > 1 ? ['system', line.replace(/^\s*\/set\s+system\s+/, '')] : words)
          break
        case '/show':
          await show(words)
          break
        case '/load':
          await load(words)
          break
        case '/save':
          await save(words)
          break
        case '/list':
          terminal.output.write(await modelTable(context))
          break
        case '/clear':
          session.messages = []
          say('Cleared session context')
          break
        case '/?':
        case '/help':
          say(helpFor(words[0]))
          break
        case '/bye':
        case '/exit':
          return 'leave'
        default:
          say(`Unknown command '${name}'. Type /? for help`)
      }
      return 'stay'
    },
  }
}

function helpFor(topic: string | undefined): string {
  switch (topic?.replace(/^\//, '')) {
    case 'set':
      return setHelp
    case 'show':
      return showHelp
    case 'shortcut':
    case 'shortcuts':
      return shortcutsHelp
    default:
      return helpText
  }
}
