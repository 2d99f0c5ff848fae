import { expect, test } from 'vitest'
import { displayName, isName, manifestPath } from '../../../../main/models/name.ts'
import { Names, splitStem, validPart } from '../../../../main/models/origins/naming.ts'

test.each([
  ['Qwen3-4B-Q4_K_M', 'Qwen3-4B', 'Q4_K_M'],
  ['Qwen3-4B-UD-IQ2_XXS', 'Qwen3-4B', 'UD-IQ2_XXS'],
  ['llama-2.Q5_0', 'llama-2', 'Q5_0'],
  ['nomic-embed.f16', 'nomic-embed', 'F16'],
  ['gpt-oss-20b-mxfp4', 'gpt-oss-20b', 'MXFP4'],
  ['phi-4', 'phi-4', 'Q8_0'],
  ['Q4_0', 'Q4_0', 'Q8_0'],
])('splitStem() tells model and quantisation of %s', (stem, model, tag) => {
  expect(splitStem(stem, 'Q8_0')).toEqual({ model, tag })
})

test.each([
  ['Qwen2.5-7B-GGUF', false, 'Qwen2-5-7B-GGUF'],
  ['Qwen2.5-7B', true, 'Qwen2.5-7B'],
  ['..', true, expect.stringMatching(/^[0-9a-f]{8}$/)],
  ['.hidden', true, 'hidden'],
  ['a b (copy)', true, 'a-b-copy'],
  ['Büro', true, 'Buro'],
  ['模型', true, expect.stringMatching(/^[0-9a-f]{8}$/)],
  ['模型 v2', true, expect.stringMatching(/^v2-[0-9a-f]{8}$/)],
  ['NUL', true, '_NUL'],
  ['com1.gguf', true, '_com1.gguf'],
  ['x'.repeat(300), true, expect.stringMatching(/^x{71}-[0-9a-f]{8}$/)],
])('validPart(%j)', (text, dots, part) => {
  expect(validPart(text, dots)).toEqual(part)
})

test('names of hostile texts are valid on every platform, and texts in different scripts stay apart', () => {
  const texts = [
    '..',
    '../../etc/passwd',
    'a\0b',
    'CON',
    'aux.txt',
    '-rf',
    'a:b',
    'a/b',
    'a\\b',
    '💣',
    '模型',
    '型模',
    'é',
    'x'.repeat(255),
    ' ',
    '%00',
    'ＮＵＬ',
  ]
  const names = new Names()
  const given = texts.map((text) => names.give({ namespace: text, stem: text, quantization: text, publisher: text }))
  for (const name of given) {
    expect(isName(name)).toBe(true)
    expect(manifestPath('C:\\models', name, 'win32')).toContain(name.model)
  }
  expect(new Set(given.map((name) => displayName(name).toLowerCase())).size).toBe(texts.length)
})

test('two that would share a name are told apart by publisher, then by number, whatever their case', () => {
  const names = new Names()
  const file = { namespace: 'Qwen-GGUF', stem: 'Qwen-Q8_0', quantization: 'Q8_0', publisher: 'bart' }
  const given = [file, { ...file, stem: 'QWEN-Q8_0' }, file, { ...file, publisher: null }, file].map((one) => displayName(names.give(one)))
  expect(given).toEqual(['Qwen-GGUF/Qwen:Q8_0', 'bart-Qwen-GGUF/QWEN:Q8_0', 'Qwen-GGUF/Qwen-2:Q8_0', 'Qwen-GGUF/Qwen-3:Q8_0', 'Qwen-GGUF/Qwen-4:Q8_0'])
})
