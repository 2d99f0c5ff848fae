import path from 'node:path'
import { readGguf } from '../../main/models/gguf.ts'
import type { Message, Tool } from '../../main/prompt/messages.ts'
import { type PromptTemplate, promptTemplate } from '../../main/prompt/template.ts'
import { forkSpawner } from '../../main/runtime/process.ts'
import { TemplateRenderer } from '../../main/runtime/template-renderer.ts'
import { criaFile } from '../helpers/library.ts'
import { startProgram } from '../helpers/program.ts'
import type { Bench, Figure, Measurement } from './figures.ts'
import { freshText } from './prompts.ts'
import { median } from './rounds.ts'

const tools: Tool[] = ['get_weather', 'find_train', 'send_letter', 'read_page'].map((name) => ({
  type: 'function',
  function: {
    name,
    description: freshText(12),
    parameters: { type: 'object', required: ['text'], properties: { text: { type: 'string', description: freshText(8) }, count: { type: 'integer' } } },
  },
}))

/** A chat of some turns, new each time. */
function conversation(): Message[] {
  const turn = (): Message[] => [
    { role: 'user', content: freshText(20) },
    { role: 'assistant', content: freshText(30) },
  ]
  return [{ role: 'system', content: freshText(15) }, ...Array.from({ length: 4 }, turn).flat(), { role: 'user', content: freshText(20) }]
}

/** Rendering and parsing, by the real template process and parser, of a chat whose reply the model has just written. */
const text: Measurement = {
  name: 'text',
  about: 'rendering and parsing as a share of the time of a SmolLM2 reply',
  async measure(bench) {
    await using program = await startProgram({ env: { OLLAMA_NUM_PARALLEL: '1' } })
    await using renderer = new TemplateRenderer({ spawn: forkSpawner(), entry: path.join(import.meta.dirname, '../../main/runtime/template-process/main.ts') })
    const own = await templateOf(bench.models.smollm, renderer)
    const calling = await templateOf(criaFile, renderer)
    const shares: Record<'own' | 'calling', number[]> = { own: [], calling: [] }
    const replyMs: number[] = []
    let pieces = 0
    // The first round starts the processes.
    for (let round = 0; round < bench.rounds + 1; round++) {
      const messages = conversation()
      const reply = await written(program.url, messages, bench)
      pieces = reply.pieces.length
      const ownMs = await textMs(own, messages, [], reply.pieces)
      const callingMs = await textMs(calling, messages, tools, reply.pieces)
      if (round === 0) continue
      replyMs.push(reply.ms)
      shares.own.push((ownMs / reply.ms) * 100)
      shares.calling.push((callingMs / reply.ms) * 100)
    }
    return [
      share('rendering and parsing, of a SmolLM2 reply', shares.own, `a chat of ten messages, a reply of ${pieces} pieces in ${median(replyMs).toFixed(0)} ms`),
      share('the same by a template that thinks and has four tools', shares.calling, 'as if SmolLM2 wrote for it'),
    ]
  },
}

function share(name: string, samples: number[], note: string): Figure {
  return { name, unit: '%', ours: median(samples), reference: null, budget: { kind: 'atMost', bound: 2 }, samples: { ours: samples }, note }
}

async function templateOf(file: string, renderer: TemplateRenderer): Promise<PromptTemplate> {
  const { chatTemplate } = await readGguf(file)
  const render = renderer.render.bind(renderer)
  return promptTemplate({ go: null, jinja: chatTemplate, render, specials: { bosText: '<|im_start|>', eosText: '<|im_end|>' } })
}

/** A streamed reply: its pieces, and the time from the request to its end. */
async function written(url: string, messages: Message[], { quick, threads }: Bench): Promise<{ pieces: string[]; ms: number }> {
  const options = { temperature: 0, num_predict: quick ? 64 : 128, num_ctx: 2048, num_thread: threads }
  const startedAt = performance.now()
  const response = await fetch(`${url}/api/chat`, { method: 'POST', body: JSON.stringify({ model: 'smollm2:135m', messages, options }) })
  const lines = (await response.text()).trimEnd().split('\n')
  const ms = performance.now() - startedAt
  return { pieces: lines.map((line) => (JSON.parse(line) as { message: { content: string } }).message.content), ms }
}

async function textMs(template: PromptTemplate, messages: Message[], declared: Tool[], pieces: string[]): Promise<number> {
  const startedAt = performance.now()
  const prompt = await template.render({ messages, tools: declared, think: null }, AbortSignal.timeout(10_000))
  const parser = template.parser({ tools: declared, think: null, prompt, messages })
  for (const piece of pieces) parser.push(piece)
  parser.end()
  return performance.now() - startedAt
}

export const textMeasurements: Measurement[] = [text]
