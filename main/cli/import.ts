import path from 'node:path'
import type { Command } from './command.ts'
import { followProgress } from './transfer.ts'

export const importCommand: Command = {
  name: 'import',
  usage: 'FILE [NAME]',
  about: 'Make a model of a GGUF file, which stays where it is',
  flags: [{ name: 'copy', type: 'boolean', about: 'Copy the file into the store, so that it may be moved or deleted' }],
  words: [1, 2],
  details: 'Of a model in several parts name any part. Without NAME the model is called as its folder and file are.',
  async run({ client, terminal }, { words: [file = '', name = ''], flags }) {
    const request = { path: path.resolve(file), name }
    if (flags.isOn('copy')) {
      const made = await followProgress({ client, terminal }, '/api/import', { ...request, copy: true })
      terminal.output.write(`copied to '${made.name}'\n`)
      return
    }
    const imported = await client.call<{ name: string; path: string }>('POST', '/api/import', request)
    terminal.output.write(`'${imported.name}' runs ${imported.path} where it lies\n`)
  },
}
