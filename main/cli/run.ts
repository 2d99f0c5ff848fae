import { text } from 'node:stream/consumers'
import type { Json } from '../lib/json.ts'
import { type Arguments, type Flags, UsageError } from './arguments.ts'
import type { Command, Context } from './command.ts'
import { History } from './repl/history.ts'
import { KeyboardLines } from './repl/keyboard.ts'
import { Repl } from './repl/repl.ts'
import { Session, type SessionSettings } from './session.ts'
import { insecureFlag } from './transfer.ts'

const levels = ['high', 'medium', 'low', 'max']

export const runCommand: Command = {
  name: 'run',
  usage: 'MODEL [PROMPT…]',
  about: 'Talk with a model, or ask it one thing',
  flags: [
    { name: 'keepalive', type: 'text', about: 'How long the model stays in memory afterwards, such as 5m' },
    { name: 'verbose', type: 'boolean', about: 'Show counts and times of each reply' },
    insecureFlag,
    { name: 'nowordwrap', type: 'boolean', about: 'Do not move words to the next line' },
    { name: 'format', type: 'text', about: 'Format of the reply: json, or a JSON Schema' },
    { name: 'think', type: 'text', bare: 'true', about: 'Whether the model thinks first: true, false, high, medium, low or max' },
    { name: 'hidethinking', type: 'boolean', about: 'Do not show what the model thinks' },
    { name: 'truncate', type: 'boolean', about: 'Embedding models: cut a text that is too long (default true)' },
    { name: 'dimensions', type: 'number', about: 'Embedding models: length of the vector' },
  ],
  words: [1, Number.POSITIVE_INFINITY],
  details: 'The prompt is what follows the model, with what comes from a pipe before it. Without either, a conversation begins.',
  async run(context, args) {
    const session = new Session(context, readSettings(args, context))
    const prompt = await readPrompt(context, args)
    const { messages = [] } = await session.open()
    if (session.capabilities.includes('embedding')) {
      if (prompt === null || prompt === '') throw new Error(`embedding models need a text: paddock run ${session.settings.model} "your text here"`)
      await session.embed(prompt, { truncate: args.flags.boolean('truncate'), dimensions: args.flags.number('dimensions') })
    } else if (prompt === null) {
      await converse(context, session, messages)
    } else if (prompt === '') {
      await session.load()
    } else {
      await session.chat(prompt)
      context.terminal.output.write('\n')
    }
  },
}

/** null: a person is to be asked. */
async function readPrompt({ terminal }: Context, { words: [, ...prompts] }: Arguments): Promise<string | null> {
  const piped = terminal.input.isTTY ? '' : await text(terminal.input)
  if (terminal.input.isTTY && prompts.length === 0) return null
  return [...(piped === '' ? [] : [piped]), ...prompts].join(' ')
}

async function converse(context: Context, session: Session, messages: { role: string; content: string }[]): Promise<void> {
  const { input, output } = context.terminal
  await session.load()
  // The server puts the model's own messages before the conversation; here they are only shown.
  for (const { role, content } of messages) output.write(role === 'user' ? `>>> ${content}\n` : role === 'assistant' ? `${content}\n\n` : '')
  const history = new History(context.historyFile)
  await using lines = new KeyboardLines({ input, output, history, editor: context.editor })
  await new Repl(context, session, lines).run()
}

function readSettings({ words: [model = ''], flags }: Arguments, { historyFile }: Context): SessionSettings {
  return {
    model,
    system: null,
    options: {},
    format: readFormat(flags.text('format')),
    think: readThink(flags),
    keepAlive: readKeepAlive(flags.text('keepalive')),
    wordWrap: !flags.isOn('nowordwrap'),
    hideThinking: flags.isOn('hidethinking'),
    verbose: flags.isOn('verbose'),
    keepHistory: historyFile !== null,
  }
}

function readThink(flags: Flags): boolean | string | null {
  const think = flags.text('think')
  if (think === null || levels.includes(think)) return think
  if (think === 'true' || think === 'false') return think === 'true'
  throw new UsageError(`invalid value for --think: ${JSON.stringify(think)} (must be true, false, high, medium, low, or max)`)
}

function readFormat(format: string | null): Json {
  if (format === null || format === '' || format === 'json') return format || null
  try {
    return JSON.parse(format) as Json
  } catch (cause) {
    throw new UsageError(`invalid value for --format: neither json nor a JSON Schema`, { cause })
  }
}

/** A bare number is seconds, as in the protocol. */
function readKeepAlive(text: string | null): string | number | null {
  return text !== null && /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text
}
