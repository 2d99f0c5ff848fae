import { UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { formatBytes, formatTable } from './format.ts'

interface Answer {
  model: string
  verdict: 'gpu' | 'partly' | 'cpu' | 'none'
  problem?: string
  num_ctx: number | null
  largest_num_ctx: number | null
  layers: number
  gpu_layers: number
  memory: { weights: number; kv_cache: number; compute: number; process: number; total: number }
  tokens_per_second: number | null
  speed_from: 'measured' | 'learned' | 'bandwidth' | null
}

export const fitCommand: Command = {
  name: 'fit',
  usage: 'MODEL',
  about: 'Say whether a model runs on this machine, and how fast',
  flags: [
    { name: 'remote', type: 'boolean', about: 'Ask the registry for a model that is not here; only its header is fetched' },
    { name: 'num-ctx', type: 'number', about: 'With a context of so many tokens' },
    { name: 'insecure', type: 'boolean', about: 'Allow a registry without TLS' },
  ],
  words: [1, 1],
  async run({ client, terminal }, { words: [model], flags }) {
    const contextLength = flags.number('num-ctx')
    if (contextLength !== null && contextLength < 1) throw new UsageError('--num-ctx must be at least 1')
    const options = contextLength === null ? {} : { num_ctx: contextLength }
    const answer = await client.call<Answer>('POST', '/api/fit', { model, options, remote: flags.isOn('remote'), insecure: flags.isOn('insecure') })
    const { memory } = answer
    terminal.output.write(`${verdict(answer)}\n\n`)
    const rows = [
      ['weights', formatBytes(memory.weights)],
      ['context', `${formatBytes(memory.kv_cache)}${answer.num_ctx === null ? '' : ` (${answer.num_ctx} tokens; up to ${answer.largest_num_ctx ?? 0} fit)`}`],
      ['computing', formatBytes(memory.compute)],
      ['process', formatBytes(memory.process)],
      ['together', formatBytes(memory.total)],
      ['speed', speed(answer)],
    ]
    terminal.output.write(formatTable(rows))
    if (answer.verdict === 'none') throw new Error(answer.problem ?? 'it does not fit')
  },
}

function verdict({ model, verdict: how, layers, gpu_layers: gpuLayers }: Answer): string {
  switch (how) {
    case 'gpu':
      return `${model} fits on the GPU`
    case 'partly':
      return `${model} fits with ${gpuLayers} of ${layers} layers on the GPU`
    case 'cpu':
      return `${model} fits, on the processor`
    case 'none':
      return `${model} does not fit`
    default:
      return how satisfies never
  }
}

function speed({ tokens_per_second: perSecond, speed_from: from }: Answer): string {
  if (perSecond === null || from === null) return 'known after the first reply'
  const rounded = perSecond < 10 ? perSecond.toFixed(1) : String(Math.round(perSecond))
  return `about ${rounded} tokens/s (${{ measured: 'measured', learned: 'from other models', bandwidth: 'from the speed of the memory' }[from]})`
}
