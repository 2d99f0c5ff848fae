import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { type Arguments, UsageError } from './arguments.ts'
import type { Command, Context } from './command.ts'
import { formatTable } from './format.ts'
import type { UpstreamAnswer } from './protocol.ts'
import type { Terminal } from './terminal.ts'

const usage = 'add NAME URL | list | remove NAME'
const expected = `expected ${usage}`

export const upstreamCommand: Command = {
  name: 'upstream',
  usage,
  about: 'Manage engines on other machines, whose models are then NAME/MODEL here',
  flags: [
    { name: 'key', type: 'text', about: 'Key that the engine asks for; - reads it from the input, so that it is in no history' },
    { name: 'protocol', type: 'text', about: 'What the engine speaks, openai or ollama; found by asking when left out' },
  ],
  words: [1, 3],
  details:
    'An engine is anything that speaks the protocol of OpenAI (vLLM, SGLang, Ray Serve, llama-server, LM Studio)\n' +
    'or of Ollama (Ollama, Paddock): paddock upstream add gpu http://gpu.lan:8000\n' +
    'A name that begins with "gpu/" then goes there, all behind it is the engine\'s own id.',
  run: async (context, args) => {
    const [action, ...rest] = args.words
    if (action === 'list' && rest.length === 0) await list(context)
    else if (action === 'add' && rest.length === 2) await add(context, args)
    else if (action === 'remove' && rest.length === 1) await remove(context, args)
    else throw new UsageError(expected)
  },
}

async function add({ client, terminal }: Context, { words: [, name = '', url = ''], flags }: Arguments): Promise<void> {
  if (name === '' || url === '') throw new UsageError(expected)
  const protocol = flags.text('protocol')
  if (protocol !== null && protocol !== 'openai' && protocol !== 'ollama') throw new UsageError('a protocol is "openai" or "ollama"')
  const given = flags.text('key') ?? ''
  const key = given === '-' ? await readKey(terminal) : given
  const added = await client.call<UpstreamAnswer>('POST', '/api/upstreams', { name, url, key, ...(protocol !== null && { protocol }) })
  terminal.output.write(`added '${added.name}' (${added.protocol}) at ${added.url}\n`)
  if (added.error !== undefined) terminal.errors.write(`It is down: ${added.error}\n`)
  else terminal.output.write(added.models.map((model) => `  ${added.name}/${model}\n`).join(''))
}

async function list({ client, terminal }: Context): Promise<void> {
  const { upstreams } = await client.call<{ upstreams: UpstreamAnswer[] }>('GET', '/api/upstreams')
  const rows = upstreams.map(({ name, url, protocol, has_key: hasKey, state, models }) => [
    name,
    url,
    protocol,
    hasKey ? 'yes' : 'no',
    state,
    String(models.length),
  ])
  terminal.output.write(formatTable([['NAME', 'URL', 'PROTOCOL', 'KEY', 'STATE', 'MODELS'], ...rows]))
  for (const { name, error } of upstreams) if (error !== undefined) terminal.errors.write(`${name}: ${error}\n`)
}

async function remove({ client, terminal }: Context, { words: [, name = ''] }: Arguments): Promise<void> {
  if (name === '') throw new UsageError(expected)
  await client.call('DELETE', `/api/upstreams/${encodeURIComponent(name)}`)
  terminal.output.write(`removed '${name}'\n`)
}

/** One line of the input. A person sees nothing of what is typed. */
async function readKey({ input, errors }: Terminal): Promise<string> {
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() })
  using lines = createInterface({ input, ...(input.isTTY && { output: unseen, terminal: true }) })
  lines.on('SIGINT', () => lines.close())
  if (input.isTTY) errors.write('Key: ')
  for await (const line of lines) {
    if (input.isTTY) errors.write('\n')
    return line.trim()
  }
  throw new UsageError('no key came from the input')
}
