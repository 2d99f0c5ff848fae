import path from 'node:path'
import { parseArgs } from 'node:util'
import { makeModel, type ShapeName, shapes } from '../helpers/make-gguf.ts'
import { type WeightType, weightTypes } from '../helpers/random-weights.ts'

const usage = `Writes a GGUF model of a known shape with random weights and a real tokenizer.
  --shape ${Object.keys(shapes).join(' | ')}   (default 1b)
  --type  ${Object.keys(weightTypes).join(' | ')}   (default q4_0)
  --seed  number   --layers number   --context number
  --out   FILE`

const { values } = parseArgs({
  options: {
    shape: { type: 'string', default: '1b' },
    type: { type: 'string', default: 'q4_0' },
    seed: { type: 'string', default: '1234' },
    layers: { type: 'string' },
    context: { type: 'string' },
    out: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help || values.out === undefined || !(values.shape in shapes) || !(values.type in weightTypes)) {
  console.log(usage)
  process.exit(values.help ? 0 : 2)
}
const preset = shapes[values.shape as ShapeName]
const shape = { ...preset, layers: Number(values.layers ?? preset.layers), contextLength: Number(values.context ?? preset.contextLength) }
const started = performance.now()
await makeModel(path.resolve(values.out), { shape, type: values.type as WeightType, seed: Number(values.seed), name: `random ${values.shape} ${values.type}` })
console.log(`${values.out}: ${values.shape} ${values.type} in ${((performance.now() - started) / 1000).toFixed(1)} s`)
