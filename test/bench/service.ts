import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { post } from '../helpers/http.ts'
import { addModel } from '../helpers/library.ts'
import { family, processorSeconds, totalResident } from '../helpers/processes.ts'
import { startProgram } from '../helpers/program.ts'
import { temporaryFolder } from '../helpers/temporary-folder.ts'
import { whole } from './client.ts'
import { nativeContender } from './contenders.ts'
import type { Figure, Measurement } from './figures.ts'
import { freshText } from './prompts.ts'
import { median } from './rounds.ts'

const bounded = (name: string, unit: string, samples: number[], bound: number, note?: string): Figure => ({
  name,
  unit,
  ours: median(samples),
  reference: null,
  budget: { kind: 'atMost', bound },
  samples: { ours: samples },
  ...(note !== undefined && { note }),
})

const start: Measurement = {
  name: 'start',
  about: 'from the start of the process to listening',
  async measure(bench) {
    const samples: number[] = []
    for (let round = 0; round < bench.rounds + 1; round++) {
      await using program = await startProgram()
      samples.push(program.startMs)
    }
    return [bounded('start to listening', 'ms', samples.slice(1), 400, 'Node included')]
  },
}

const cold: Measurement = {
  name: 'cold',
  about: 'from no runner to the first token; another num_ctx on loaded weights',
  async measure(bench) {
    await using program = await startProgram({ env: { OLLAMA_NUM_PARALLEL: '1' } })
    const ours = nativeContender('ours', program.url, 'smollm2:135m', bench.threads)
    const cold: number[] = []
    const other: number[] = []
    for (let round = 0; round < bench.rounds; round++) {
      await post(program.url, '/api/generate', { model: 'smollm2:135m', keep_alive: 0 })
      await emptied(program.url)
      cold.push((await ours.generate({ text: freshText(4), tokens: 2, contextLength: 2048 })).firstMs)
      const loaded = await ours.generate({ text: freshText(4), tokens: 2, contextLength: 2048 })
      const { firstMs } = await ours.generate({ text: freshText(4), tokens: 2, contextLength: 4096 + 512 * round })
      other.push(firstMs - loaded.firstMs)
    }
    return [
      bounded('cold to first token, SmolLM2', 'ms', cold, 400),
      bounded('another num_ctx on loaded weights', 'ms', other, 40, 'beyond the first token of a loaded model'),
    ]
  },
}

async function emptied(url: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const { answer } = await whole(`${url}/api/ps`)
    if ((answer.models as unknown[]).length === 0) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('the model did not leave memory')
}

const idle: Measurement = {
  name: 'idle',
  about: 'what a server that has nothing to do holds and uses',
  async measure(bench) {
    await using program = await startProgram()
    const pid = program.process.pid ?? 0
    const seconds = bench.quick ? 3 : 10
    // The probes of the hardware run behind the start.
    await new Promise((resolve) => setTimeout(resolve, 4000))
    const before = await processorSeconds(pid)
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
    const after = await processorSeconds(pid)
    const members = await family(pid)
    const figures = [bounded('idle memory', 'MB', [totalResident(members) / 1e6], 120, `${members.length} process${members.length === 1 ? '' : 'es'}`)]
    // The kernel counts in hundredths of a second.
    if (before !== null && after !== null) figures.push(bounded('idle processor', '%', [((after - before) / seconds) * 100], 0.5))
    return figures
  },
}

/** A store of a thousand names over one model, as copies of its manifest under names of their own. */
async function manyModels(models: string, from: string, count: number): Promise<void> {
  const folder = path.join(models, 'manifests/registry.ollama.ai/library')
  const [tag] = await readdir(path.join(folder, from))
  const manifest = JSON.parse(await readFile(path.join(folder, from, tag ?? 'latest'), 'utf8')) as { config: { digest: string; size: number } }
  for (let index = 0; index < count; index++) {
    const name = path.join(folder, `many-${index}`)
    await mkdir(name, { recursive: true })
    // Every model has a configuration of its own, as a real library has.
    const original = await readFile(path.join(models, 'blobs', manifest.config.digest.replace(':', '-')), 'utf8')
    const config = JSON.stringify({ ...(JSON.parse(original) as object), base_name: `many-${index}` })
    const digest = createHash('sha256').update(config).digest('hex')
    await writeFile(path.join(models, 'blobs', `sha256-${digest}`), config)
    await writeFile(path.join(name, 'latest'), JSON.stringify({ ...manifest, config: { ...manifest.config, digest: `sha256:${digest}`, size: config.length } }))
  }
}

const tags: Measurement = {
  name: 'tags',
  about: 'GET /api/tags with 1,000 models',
  async measure(bench) {
    await using folder = await temporaryFolder()
    const models = path.join(folder.path, 'models')
    {
      await using program = await startProgram({ env: { OLLAMA_MODELS: models } })
      await addModel(program.url, 'cria', bench.models.cria)
    }
    await manyModels(models, 'cria', 1000)
    await using program = await startProgram({ env: { OLLAMA_MODELS: models } })
    const first = await whole(`${program.url}/api/tags`)
    const count = (first.answer.models as unknown[]).length
    if (count < 1000) throw new Error(`/api/tags lists ${count} models of 1,000`)
    const samples: number[] = []
    for (let round = 0; round < bench.rounds * 4; round++) samples.push((await whole(`${program.url}/api/tags`)).ms)
    return [bounded('/api/tags with 1,000 models', 'ms', samples, 30, `the first one ${first.ms.toFixed(0)} ms`)]
  },
}

export const serviceMeasurements: Measurement[] = [start, cold, idle, tags]
