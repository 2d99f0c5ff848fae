import { addModel } from '../helpers/library.ts'
import { type Program, startProgram } from '../helpers/program.ts'
import { decodeRate } from './client.ts'
import { type Contender, llamaBatchedBench, llamaBench, llamaServer, nativeContender, type Prompt } from './contenders.ts'
import type { Bench, Figure, Measurement } from './figures.ts'
import { freshText, sentences } from './prompts.ts'
import { rawEngine } from './raw-engine.ts'
import { interleaved, median } from './rounds.ts'

/** Our program with the models that are measured. */
async function startOurs(bench: Bench, slots: number): Promise<Program> {
  const program = await startProgram({ env: { OLLAMA_NUM_PARALLEL: String(slots), OLLAMA_CONTEXT_LENGTH: '2048' } })
  await addModel(program.url, 'cria', bench.models.cria)
  await addModel(program.url, 'large', bench.models.large)
  return program
}

const modelName = { smollm: 'smollm2:135m', cria: 'cria', minilm: 'all-minilm', large: 'large' } as const
type ModelKey = keyof typeof modelName

const oursOf = (program: Program, bench: Bench, model: ModelKey) => nativeContender('ours', program.url, modelName[model], bench.threads)

/** The server to compare with: llama.cpp's own, else the engine without a server. */
async function reference(bench: Bench, model: ModelKey, options: { slots?: number; embedding?: boolean; contextLength?: number } = {}): Promise<Contender> {
  const file = bench.models[model]
  return bench.tools.server === null ? await rawEngine(file, bench.threads, options) : await llamaServer(bench.tools.server, file, bench.threads, options)
}

async function compared(
  bench: Bench,
  name: string,
  unit: string,
  budget: Figure['budget'],
  contenders: Record<'ours' | string, () => Promise<number>>,
  referenceName: string,
): Promise<Figure> {
  for (const measure of Object.values(contenders)) await measure()
  const samples = await interleaved(bench.rounds, contenders)
  return { name, unit, ours: median(samples.ours ?? []), reference: { name: referenceName, value: median(samples[referenceName] ?? []) }, budget, samples }
}

/**
 * Measures after a moment of quiet that begins with a small request: the contender before has just used every core, and a server
 * that shares the machine with others (ours does) would give way to what it has seen since its last request.
 */
async function settled<T>(
  contender: Contender,
  measure: () => Promise<T>,
  small: () => Promise<unknown> = () => contender.generate({ text: freshText(1), tokens: 1 }),
): Promise<T> {
  await small()
  await new Promise((resolve) => setTimeout(resolve, 300))
  return await measure()
}

const oneStream = (contender: Contender, tokens: number) => settled(contender, async () => decodeRate(await contender.generate(decodePrompt(tokens))))

const decodePrompt = (tokens: number): Prompt => ({ text: freshText(12), tokens })

/** Decoding of one stream: against llama-bench where it is the budget's measure, else against a server. */
function decode(model: ModelKey, label: string, against: 'bench' | 'server', bound: number, tokens: number): Measurement {
  return {
    name: `decode-${model}`,
    about: `generation of ${label}, one stream`,
    async measure(bench) {
      await using program = await startOurs(bench, 1)
      const ours = oursOf(program, bench, model)
      const count = bench.quick ? Math.ceil(tokens / 3) : tokens
      const measured = { ours: () => oneStream(ours, count) }
      const { bench: tool } = bench.tools
      if (against === 'bench' && tool !== null) {
        const figure = await compared(
          bench,
          `generation, ${label}`,
          'tokens/s',
          { kind: 'ratio', bound },
          { ...measured, 'llama-bench': () => llamaBench(tool, bench.models[model], bench.threads, { tokens: count }) },
          'llama-bench',
        )
        return [figure]
      }
      await using other = await reference(bench, model)
      const contenders = { ...measured, [other.name]: () => oneStream(other, count) }
      const figures = [await compared(bench, `generation, ${label}`, 'tokens/s', { kind: 'ratio', bound }, contenders, other.name)]
      if (bench.peer !== null && model === 'smollm') {
        const peer = nativeContender('peer', bench.peer, modelName[model], bench.threads)
        figures.push(
          await compared(
            bench,
            `generation, ${label}, and the peer`,
            'tokens/s',
            { kind: 'ratio', bound },
            { ...measured, peer: () => oneStream(peer, count) },
            'peer',
          ),
        )
      }
      return figures
    },
  }
}

function prefill(model: ModelKey, label: string, bound: number): Measurement {
  return {
    name: `prefill-${model}`,
    about: `reading of a prompt of about 512 tokens by ${label}`,
    async measure(bench) {
      await using program = await startOurs(bench, 1)
      const ours = oursOf(program, bench, model)
      const { bench: tool } = bench.tools
      const text = () => freshText(model === 'large' ? 380 : 480)
      const rate = async (contender: Contender) => {
        const { firstMs, final } = await settled(contender, () => contender.generate({ text: text(), tokens: 1 }))
        const tokens = Number(final.prompt_eval_count ?? final.promptTokens ?? final.tokens_evaluated)
        return (tokens / firstMs) * 1000
      }
      if (tool !== null) {
        return [
          await compared(
            bench,
            `prompt, ${label}`,
            'tokens/s',
            { kind: 'ratio', bound },
            { ours: () => rate(ours), 'llama-bench': () => llamaBench(tool, bench.models[model], bench.threads, { prompt: 512 }) },
            'llama-bench',
          ),
        ]
      }
      await using other = await reference(bench, model)
      return [
        await compared(
          bench,
          `prompt, ${label}`,
          'tokens/s',
          { kind: 'ratio', bound },
          { ours: () => rate(ours), [other.name]: () => rate(other) },
          other.name,
        ),
      ]
    },
  }
}

interface Together {
  rate: number
  worstFirstMs: number
}

/** All streams at once: tokens of all a second from the first first token to the last end, and the first token that came last. */
async function together(contender: Contender, streams: number, tokens: number): Promise<Together> {
  const timings = await Promise.all(Array.from({ length: streams }, () => contender.generate(decodePrompt(tokens))))
  const first = Math.min(...timings.map(({ firstMs }) => firstMs))
  const last = Math.max(...timings.map(({ lastMs }) => lastMs))
  const all = timings.reduce((sum, timing) => sum + timing.tokens, 0)
  return { rate: (all / (last - first)) * 1000, worstFirstMs: Math.max(...timings.map(({ firstMs }) => firstMs)) }
}

function parallel(streams: number): Measurement {
  return {
    name: `parallel-${streams}`,
    about: `${streams} replies of SmolLM2 at once`,
    async measure(bench) {
      await using program = await startOurs(bench, streams)
      await using other = await reference(bench, 'smollm', { slots: streams })
      const ours = oursOf(program, bench, 'smollm')
      const tokens = bench.quick ? 32 : 96
      const firsts: Record<string, number[]> = { ours: [], [other.name]: [] }
      const measured = (contender: Contender) => async () => {
        const { rate, worstFirstMs } = await settled(contender, () => together(contender, streams, tokens))
        firsts[contender.name]?.push(worstFirstMs)
        return rate
      }
      const contenders: Record<string, () => Promise<number>> = { ours: measured(ours), [other.name]: measured(other) }
      const { batchedBench } = bench.tools
      if (batchedBench !== null) contenders['llama-batched-bench'] = () => llamaBatchedBench(batchedBench, bench.models.smollm, bench.threads, streams, tokens)
      const figure = await compared(
        bench,
        `${streams} streams together`,
        'tokens/s',
        { kind: 'ratio', bound: other.name === 'raw engine' ? 0.9 : 1.2 },
        contenders,
        other.name,
      )
      const figures = [figure]
      if (batchedBench !== null) {
        const value = median(figure.samples['llama-batched-bench'] ?? [])
        figures.push({
          ...figure,
          name: `${streams} streams together, bare`,
          reference: { name: 'llama-batched-bench', value },
          budget: { kind: 'ratio', bound: 0.9 },
        })
      }
      figures.push({
        name: `${streams} streams at once, worst first token`,
        unit: 'ms',
        ours: median(firsts.ours ?? []),
        reference: { name: other.name, value: median(firsts[other.name] ?? []) },
        budget: { kind: 'share', bound: 1 },
        samples: firsts,
      })
      return figures
    },
  }
}

const firstByte: Measurement = {
  name: 'first-byte',
  about: 'time to the first byte on a loaded model beyond the reading of the prompt',
  async measure(bench) {
    await using program = await startOurs(bench, 1)
    const ours = oursOf(program, bench, 'smollm')
    const beyond = async () => {
      const { firstMs, final } = await ours.generate({ text: freshText(12), tokens: 2 })
      return firstMs - Number(final.prompt_eval_duration) / 1e6
    }
    await beyond()
    const samples: number[] = []
    for (let round = 0; round < bench.rounds * 4; round++) samples.push(await beyond())
    const figures: Figure[] = [
      {
        name: 'first byte beyond the prompt',
        unit: 'ms',
        ours: median(samples),
        reference: null,
        budget: { kind: 'atMost', bound: 5 },
        samples: { ours: samples },
      },
    ]
    await using other = await reference(bench, 'smollm')
    const first = async (contender: Contender) => (await settled(contender, () => contender.generate({ text: freshText(12), tokens: 2 }))).firstMs
    figures.push(
      await compared(
        bench,
        'first token, prompt of 12 words',
        'ms',
        { kind: 'share', bound: 1.1 },
        { ours: () => first(ours), [other.name]: () => first(other) },
        other.name,
      ),
    )
    return figures
  },
}

const secondTurn: Measurement = {
  name: 'second-turn',
  about: 'first token of the second turn of a chat of 600 words',
  async measure(bench) {
    await using program = await startOurs(bench, 1)
    await using other = await reference(bench, 'smollm')
    const ours = oursOf(program, bench, 'smollm')
    const cached: number[] = []
    const turns = async (contender: Contender) => {
      const history = freshText(600)
      await contender.generate({ text: history, tokens: 8 })
      const { firstMs, final } = await contender.generate({ text: `${history} ${freshText(12)}`, tokens: 2 })
      if (contender === ours) cached.push(Number(final.prompt_eval_count) - Number(final.prompt_eval_cached_count ?? 0))
      return firstMs
    }
    const turn = (contender: Contender) => settled(contender, () => turns(contender))
    const figure = await compared(
      bench,
      'second turn, first token',
      'ms',
      { kind: 'share', bound: 1.1 },
      { ours: () => turn(ours), [other.name]: () => turn(other) },
      other.name,
    )
    return [
      figure,
      {
        name: 'second turn, tokens read again',
        unit: 'tokens',
        ours: median(cached),
        reference: null,
        budget: { kind: 'atMost', bound: 24 },
        samples: { ours: cached },
        note: '12 new words',
      },
    ]
  },
}

const embeddings: Measurement = {
  name: 'embeddings',
  about: '32 sentences of about 20 words in one request',
  async measure(bench) {
    await using program = await startOurs(bench, 1)
    await using other = await reference(bench, 'minilm', { embedding: true })
    const ours = oursOf(program, bench, 'minilm')
    const rate = async (contender: Contender) =>
      (32 /
        (await settled(
          contender,
          () => contender.embed(sentences(32)),
          () => contender.embed(['a']),
        ))) *
      1000
    const figures = [
      await compared(
        { ...bench, rounds: bench.rounds * 3 },
        '32 sentences embedded',
        'per s',
        { kind: 'ratio', bound: 0.95 },
        { ours: () => rate(ours), [other.name]: () => rate(other) },
        other.name,
      ),
    ]
    if (bench.peer !== null) {
      const peer = nativeContender('peer', bench.peer, 'all-minilm', bench.threads)
      figures.push(
        await compared(
          bench,
          '32 sentences embedded, and the peer',
          'per s',
          { kind: 'ratio', bound: 1.9 },
          { ours: () => rate(ours), peer: () => rate(peer) },
          'peer',
        ),
      )
    }
    return figures
  },
}

export const generationMeasurements: Measurement[] = [
  decode('large', '1B-shaped', 'bench', 0.97, 48),
  prefill('large', '1B-shaped', 0.97),
  decode('smollm', 'SmolLM2 135M', 'server', 0.9, 128),
  prefill('smollm', 'SmolLM2 135M', 0.97),
  decode('cria', 'cria-shaped 3.3M', 'bench', 0.6, 400),
  parallel(4),
  parallel(8),
  firstByte,
  secondTurn,
  embeddings,
]
