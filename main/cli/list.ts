import type { Command, Context } from './command.ts'
import { formatBytes, formatTable, formatTime } from './format.ts'
import type { TagsAnswer } from './protocol.ts'

export const listCommand: Command = {
  name: 'list',
  aliases: ['ls'],
  usage: '[PREFIX]',
  about: 'List the models of this machine',
  flags: [],
  words: [0, 1],
  async run(context, { words: [prefix = ''] }) {
    context.terminal.output.write(await modelTable(context, prefix))
  },
}

/** The installed models whose names begin with the prefix, newest first. */
export async function modelTable({ client }: Pick<Context, 'client'>, prefix = ''): Promise<string> {
  const { models } = await client.call<TagsAnswer>('GET', '/api/tags')
  const now = new Date()
  const rows = models
    .filter(({ name }) => name.toLowerCase().startsWith(prefix.toLowerCase()))
    .map((model) => {
      const { name, digest, size, modified_at: modified } = model
      // What an engine elsewhere, or a file that is gone, does not tell is 0.
      const shown = [name, digest.slice(0, 12), size === 0 ? '-' : formatBytes(size), Date.parse(modified) <= 0 ? '-' : formatTime(new Date(modified), now)]
      return { shown, origin: originOf(model), where: placeOf(model) }
    })
  const hasOrigins = rows.some(({ origin }) => origin !== '')
  const hasPlaces = rows.some(({ where }) => where !== '')
  const header = ['NAME', 'ID', 'SIZE', 'MODIFIED', ...(hasOrigins ? ['ORIGIN'] : []), ...(hasPlaces ? ['RUNS AT'] : [])]
  return formatTable([header, ...rows.map(({ shown, origin, where }) => [...shown, ...(hasOrigins ? [origin] : []), ...(hasPlaces ? [where] : [])])])
}

type Listed = TagsAnswer['models'][number]

/** Whose a model is that is neither in our store nor shipped, and whether it can be run. */
function originOf({ origin = 'store', state }: Listed): string {
  return origin === 'store' || origin === 'bundled' ? '' : state === undefined ? origin : `${origin} (${state})`
}

function placeOf({ remote_host: host, upstream }: Listed): string {
  return host === undefined ? '' : upstream?.state === 'down' ? `${host} (down)` : host
}
