import path from 'node:path'
import { UsageError } from './arguments.ts'
import type { Command, Context } from './command.ts'
import { formatTable } from './format.ts'

interface OriginsAnswer {
  origins: { id: string; owner: string; folder: string; on: boolean; models: number }[]
}

export const originCommand: Command = {
  name: 'origin',
  usage: 'list | on ORIGIN | off ORIGIN | add FOLDER | remove FOLDER',
  about: 'Choose whose models are listed where they lie',
  flags: [],
  words: [1, 2],
  details:
    'Models of Ollama, LM Studio, Hugging Face and llama.cpp, and those in folders that you add, run in place; nothing there is ever changed.\nORIGIN is a name of the first column of "paddock origin list".',
  async run(context, { words: [action, what] }) {
    if (action === 'list' && what === undefined) write(context, await context.client.call('GET', '/api/origins'))
    else if ((action === 'on' || action === 'off') && what !== undefined) write(context, await change(context, { [action]: [what] }))
    else if ((action === 'add' || action === 'remove') && what !== undefined) write(context, await change(context, { [action]: [path.resolve(what)] }))
    else throw new UsageError(`expected ${originCommand.usage}`)
  },
}

function change({ client }: Context, body: object): Promise<OriginsAnswer> {
  return client.call('POST', '/api/origins', body)
}

function write({ terminal }: Context, { origins }: OriginsAnswer): void {
  const rows = origins.map(({ id, on, models, folder }) => [id, on ? 'on' : 'off', String(models), folder])
  terminal.output.write(formatTable([['ORIGIN', 'STATE', 'MODELS', 'FOLDER'], ...rows]))
}
