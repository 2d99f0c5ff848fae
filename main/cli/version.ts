import type { Command, Context } from './command.ts'

export const versionCommand: Command = {
  name: 'version',
  usage: '',
  about: 'Show the version of the server and of this program',
  flags: [],
  words: [0, 0],
  run: showVersion,
}

/** The server's version; without one, or with another, that of this program too. */
export async function showVersion({ client, terminal, version }: Context): Promise<void> {
  let answer: { version: string; paddock?: string } | null = null
  try {
    answer = await client.call('GET', '/api/version')
  } catch {
    terminal.errors.write('Warning: could not connect to a running Paddock instance\n')
  }
  if (answer === null) terminal.output.write(`paddock version is ${version}\n`)
  else if (answer.paddock === undefined) terminal.output.write(`the server at ${client.url} is Ollama ${answer.version}\n`)
  else terminal.output.write(`paddock version is ${answer.paddock}\n`)
  if (answer !== null && answer.paddock !== version) terminal.errors.write(`Warning: client version is ${version}\n`)
}
