import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { minilmFile, smollmFile } from '../helpers/library.ts'
import { cachedModel } from '../helpers/make-gguf.ts'
import { type Bench, type Figure, isMet } from './figures.ts'
import { generationMeasurements } from './generation.ts'
import { transferMeasurements } from './pull.ts'
import { table, writeResults } from './report.ts'
import { serviceMeasurements } from './service.ts'
import { textMeasurements } from './text.ts'

const measurements = [...generationMeasurements, ...serviceMeasurements, ...textMeasurements, ...transferMeasurements]
const usage = `npm run bench -- [options]
  --only NAME     one measurement, or several with commas: ${measurements.map(({ name }) => name).join(' ')}
  --quick         fewer rounds and tokens
  --rounds N      rounds of each measurement (default 5, quick 2)
  --threads N     compute threads (default: the machine's cores)
  --large SHAPE   shape of the large random model (default 1b; 8b needs 5 GB of disk and memory)
Environment:
  LLAMA_BENCH     llama-bench of llama.cpp; llama-batched-bench is looked for beside it
  LLAMA_SERVER    llama-server of llama.cpp
  PEER_URL        another server of the native protocol that has smollm2:135m and all-minilm
Without llama.cpp's tools the reference is our own engine without HTTP, in the same run.`

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    threads: { type: 'string' },
    large: { type: 'string', default: '1b' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(usage)
  process.exit(0)
}
const wanted = values.only?.split(',') ?? measurements.map(({ name }) => name)
const unknown = wanted.filter((name) => !measurements.some((measurement) => measurement.name === name))
if (unknown.length > 0 || (values.large !== '1b' && values.large !== '8b')) {
  console.error(`unknown: ${[...unknown, values.large].join(' ')}\n${usage}`)
  process.exit(2)
}

const { LLAMA_BENCH: llamaBench, LLAMA_SERVER: llamaServer, PEER_URL: peer } = process.env
const bench: Bench = {
  threads: Number(values.threads ?? os.availableParallelism()),
  rounds: Number(values.rounds ?? (values.quick ? 2 : 5)),
  quick: values.quick,
  tools: {
    bench: llamaBench ?? null,
    batchedBench: llamaBench === undefined ? null : path.join(path.dirname(llamaBench), 'llama-batched-bench'),
    server: llamaServer ?? null,
  },
  peer: peer ?? null,
  models: { smollm: smollmFile, cria: await cachedModel('cria', 'q8_0'), minilm: minilmFile, large: await cachedModel(values.large) },
  say: (text) => console.error(text),
}
const leftOut = [
  ...(llamaBench === undefined ? ['llama-bench (LLAMA_BENCH is not set): the reference is our engine without HTTP'] : []),
  ...(llamaServer === undefined ? ['llama-server (LLAMA_SERVER is not set): the reference is our engine without HTTP'] : []),
  ...(peer === undefined ? ['a peer (PEER_URL is not set)'] : []),
]
for (const line of leftOut) bench.say(`left out: ${line}`)

const figures: Figure[] = []
// What has been measured is shown whatever ends the run.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    leftOut.push(`the run was ended by ${signal}`)
    await finish()
    process.exit(130)
  })
}
for (const { name, about, measure } of measurements.filter((measurement) => wanted.includes(measurement.name))) {
  bench.say(`${name}: ${about}`)
  try {
    figures.push(...(await measure(bench)))
  } catch (error) {
    leftOut.push(`${name} failed: ${error instanceof Error ? error.message : String(error)}`)
    bench.say(leftOut.at(-1) ?? '')
  }
}
await finish()
process.exitCode = leftOut.some((line) => line.includes(' failed: ')) ? 1 : 0

async function finish(): Promise<void> {
  const run = {
    at: new Date().toISOString(),
    machine: `${os.cpus()[0]?.model.trim() ?? os.arch()}, ${os.availableParallelism()} cores`,
    threads: bench.threads,
    rounds: bench.rounds,
    figures,
    leftOut,
  }
  console.log(`\n${table(run)}\n`)
  const page = await writeResults(run, path.join(import.meta.dirname, 'results'))
  console.log(`${figures.filter(isMet).length} of ${figures.length} budgets met; ${path.relative(process.cwd(), page)}`)
}
