import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { mediaTypes } from '../../main/models/manifest.ts'
import { post } from '../helpers/http.ts'
import { startProgram } from '../helpers/program.ts'
import { modelOf, publish } from '../helpers/publish.ts'
import { hasRegistry, startRegistry } from '../helpers/registry.ts'
import type { Measurement } from './figures.ts'
import { interleaved, median } from './rounds.ts'

const run = promisify(execFile)

const pull: Measurement = {
  name: 'pull',
  about: 'a large model from a registry on this machine, beside curl | sha256sum of the same blob',
  async measure(bench) {
    if (!hasRegistry) return []
    await using registry = await startRegistry()
    const model = modelOf([{ mediaType: mediaTypes.model, bytes: await readFile(bench.models.large) }])
    await publish(registry.url, 'library/large:latest', model)
    await using program = await startProgram()
    const { digest = '', size = 0 } = model.layers[0] ?? {}
    const name = `${registry.host}/library/large`
    const megabytesPerSecond = async (work: () => Promise<unknown>) => {
      const start = performance.now()
      await work()
      return size / 1000 / (performance.now() - start)
    }
    const samples = await interleaved(bench.rounds, {
      ours: async () => {
        const speed = await megabytesPerSecond(async () => {
          const { body } = await post(program.url, '/api/pull', { model: name, insecure: true, stream: false })
          if ((body as { status?: string }).status !== 'success') throw new Error(JSON.stringify(body))
        })
        await fetch(`${program.url}/api/delete`, { method: 'DELETE', body: JSON.stringify({ model: name }) })
        return speed
      },
      curl: async () => megabytesPerSecond(() => run('sh', ['-c', `curl -sf ${registry.url}/v2/library/large/blobs/${digest} | sha256sum`])),
    })
    return [
      {
        name: 'pull from a local registry',
        unit: 'MB/s',
        ours: median(samples.ours),
        reference: { name: 'curl | sha256sum', value: median(samples.curl) },
        budget: { kind: 'ratio', bound: 0.7 },
        samples,
        note: `${Math.round(size / 1e6)} MB, written and checked`,
      },
    ]
  },
}

export const transferMeasurements: Measurement[] = [pull]
