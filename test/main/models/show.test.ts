import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { parseModelfile } from '../../../main/models/modelfile.ts'
import { parseParameters } from '../../../main/models/parameters.ts'
import { describeModel, type ModelDescription } from '../../../main/models/show.ts'
import { minilmFile, smollmFile } from '../../helpers/library.ts'
import { addCria, inspectTemplates, name, openLibrary, type TestLibrary } from './setup.ts'

interface Recorded {
  modelfile: string
  parameters?: string
  template: string
  license?: string
  details: { family: string; families: string[]; parameter_size: string; quantization_level: string; parent_model: string }
  model_info: Record<string, unknown>
  tensors: unknown[]
  capabilities: string[]
}
const golden = JSON.parse(await readFile(path.resolve(import.meta.dirname, '../../fixtures/golden/library.json'), 'utf8')) as {
  steps: { id: string; response: { body: Recorded } }[]
}
const recorded = (id: string) => golden.steps.find((step) => step.id === id)!.response.body
const models = JSON.parse(await readFile(path.resolve(import.meta.dirname, '../../fixtures/golden/models.json'), 'utf8')) as {
  model: string
  template: string
  parameters: { stop: string[] }
}[]

async function described(test: TestLibrary, text: string, verbose = false): Promise<ModelDescription> {
  return describeModel((await test.library.resolve(name(text)))!, { verbose, inspectTemplates })
}
/** Our digests differ on purpose: bytes stay as they came. */
const withoutPaths = (modelfile: string) => modelfile.replaceAll(/^FROM \/.*$/gm, 'FROM a file')

test.each([
  ['show', 'cria'],
  ['show-embedding', 'all-minilm'],
  ['show-go-template', 'smollm2:135m'],
  ['show-full', 'full'],
])('describeModel() says what Ollama was recorded to say (%s)', async (id, model) => {
  await using test = await openLibrary()
  await addCria(test)
  await test.create({ model: 'all-minilm', files: { a: await test.upload(await readFile(minilmFile)) } })
  const { template, parameters } = models.find((one) => one.model === 'smollm2:135m')!
  await test.create({ model: 'smollm2:135m', files: { a: await test.upload(await readFile(smollmFile)) }, template, parameters })
  await test.create({
    model: 'full',
    from: 'cria',
    system: 'Be brief.',
    template: '{{ .System }} {{ .Prompt }}',
    parameters: { temperature: 0.3, stop: ['a', 'b'], num_ctx: 512, seed: 7 },
    licenses: ['MIT', 'Also this'],
    messages: [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: 'hello' },
    ],
  })
  const wanted = recorded(id)
  const is = await described(test, model)
  const resolved = await test.library.resolve(name(model))
  expect({ ...is, modelfile: withoutPaths(is.modelfile) }).toEqual({
    modelfile: withoutPaths(wanted.modelfile),
    parameters: wanted.parameters ?? '',
    template: wanted.template,
    license: wanted.license ?? '',
    modelInfo: wanted.model_info,
    projectorInfo: null,
    tensors: expect.arrayContaining(wanted.tensors),
  })
  expect(is.tensors).toHaveLength(wanted.tensors.length)
  expect(resolved?.capabilities).toEqual(wanted.capabilities)
  expect(resolved?.details).toMatchObject({
    parentModel: wanted.details.parent_model,
    families: wanted.details.families,
    parameterSize: wanted.details.parameter_size,
    quantizationLevel: wanted.details.quantization_level,
  })
})

test('describeModel() gives the arrays only when verbose', async () => {
  await using test = await openLibrary()
  await addCria(test)
  expect((await described(test, 'cria')).modelInfo['tokenizer.ggml.tokens']).toBeNull()
  expect((await described(test, 'cria', true)).modelInfo['tokenizer.ggml.tokens']).toHaveLength(2048)
})

test('the modelfile of a model that ships keeps its own template when it is created from', async () => {
  await using test = await openLibrary({ bundled: true })
  const { modelfile } = await described(test, 'smollm2:135m')
  expect(parseModelfile(modelfile)).toMatchObject({ from: [smollmFile], template: null })
})

test('the modelfile reads back as the same texts and parameters', async () => {
  await using test = await openLibrary()
  await addCria(test)
  const given = {
    system: ' Say "hi"\nand stop ',
    template: '{{ .Prompt }}\n',
    parameters: { stop: ['"', ' x', 'a b'], temperature: 0.5, use_mmap: false },
    licenses: ['Line\nline', '"'],
    messages: [{ role: 'user', content: 'two\nlines' }],
  }
  await test.create({ model: 'x', from: 'cria', ...given })
  const { parameters, ...texts } = parseModelfile((await described(test, 'x')).modelfile)
  expect(texts).toMatchObject({ system: given.system, template: given.template, licenses: given.licenses, messages: given.messages })
  expect(parseParameters(parameters)).toEqual(given.parameters)
})
