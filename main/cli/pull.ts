import type { Command } from './command.ts'
import { followProgress, insecureFlag, modelNames } from './transfer.ts'

export const pullCommand: Command = {
  name: 'pull',
  usage: 'MODEL',
  about: 'Download a model from a registry',
  flags: [insecureFlag],
  words: [1, 1],
  details: `${modelNames}\nCtrl+C keeps what has come; the same command goes on from there.`,
  async run(context, { words: [model], flags }) {
    const insecure = flags.isOn('insecure')
    const again = `paddock pull ${model}${insecure ? ' --insecure' : ''}`
    const leaving = new AbortController()
    const leave = () => leaving.abort(new Error(`stopped; what has come is kept, and "${again}" goes on from there`))
    process.once('SIGINT', leave)
    try {
      await followProgress(context, '/api/pull', { model, insecure }, leaving.signal)
    } catch (error) {
      leaving.signal.throwIfAborted()
      throw error
    } finally {
      process.off('SIGINT', leave)
    }
  },
}
