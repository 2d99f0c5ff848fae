import { expect, test } from 'vitest'
import { formatModelfile, type Modelfile, parseModelfile } from '../../../main/models/modelfile.ts'
import { random } from '../../helpers/random-weights.ts'

const empty: Modelfile = {
  from: ['x'],
  adapters: [],
  draft: null,
  template: null,
  system: null,
  renderer: null,
  parser: null,
  requires: null,
  parameters: [],
  licenses: [],
  messages: [],
}

test('parseModelfile() reads every instruction', () => {
  const text = `
# A comment, then an indented one
   # FROM nothing
FROM llama3.2
from ./projector.gguf
ADAPTER ./lora.gguf
DRAFT ./draft.gguf
TEMPLATE """{{ .System }}
{{ .Prompt }}"""
SYSTEM You are # not a comment.
RENDERER qwen3
PARSER qwen3
REQUIRES 0.14.0
PARAMETER temperature 0.7
parameter stop "### User:"
PARAMETER stop  <|im_end|>
LICENSE MIT
LICENSE """Also
this"""
MESSAGE user hello
MESSAGE assistant "how are
you?"
	MESSAGE system be brief
`
  expect(parseModelfile(text)).toEqual({
    from: ['llama3.2', './projector.gguf'],
    adapters: ['./lora.gguf'],
    draft: './draft.gguf',
    template: '{{ .System }}\n{{ .Prompt }}',
    system: 'You are # not a comment.',
    renderer: 'qwen3',
    parser: 'qwen3',
    requires: '0.14.0',
    parameters: [
      ['temperature', '0.7'],
      ['stop', '### User:'],
      ['stop', '<|im_end|>'],
    ],
    licenses: ['MIT', 'Also\nthis'],
    messages: [
      { role: 'user', content: 'hello' },
      { role: 'assistant', content: 'how are\nyou?' },
      { role: 'system', content: 'be brief' },
    ],
  })
})

test.each([
  ['SYSTEM plain text  ', 'plain text'],
  ['SYSTEM    leading', 'leading'],
  ['SYSTEM "  blanks kept  "', '  blanks kept  '],
  ['SYSTEM "two\nlines"', 'two\nlines'],
  ['SYSTEM "two  \n  lines "', 'two  \n  lines '],
  ['SYSTEM "a" and "b"', 'a" and "b'],
  ['SYSTEM say "hi"', 'say "hi"'],
  ['SYSTEM """\nfirst\n\n"second"\n"""', '\nfirst\n\n"second"\n'],
  ['SYSTEM """one line"""', 'one line'],
  ['SYSTEM """ends with a "quote""""', 'ends with a "quote"'],
  ['SYSTEM """"""', ''],
  ['SYSTEM ""', ''],
  ["SYSTEM 'single'", "'single'"],
  ['SYSTEM """\n# no comment\nFROM y\n"""', '\n# no comment\nFROM y\n'],
  ['SYSTEM no\\nescapes', 'no\\nescapes'],
  ['SYSTEM 你好 🦙', '你好 🦙'],
  ['SYSTEM first\nSYSTEM last', 'last'],
])('parseModelfile() reads the value of %j', (line, system) => {
  expect(parseModelfile(`FROM x\n${line}\n`).system).toBe(system)
  expect(parseModelfile(`${line}\nFROM x`).system).toBe(system)
})

test('parseModelfile() takes CRLF, CR, UTF-16 of both kinds and a byte order mark', () => {
  const text = 'FROM x\nSYSTEM """a\nb ü"""\nPARAMETER stop é\n'
  const wanted = { ...empty, system: 'a\nb ü', parameters: [['stop', 'é']] }
  const little = Buffer.from(`\ufeff${text}`, 'utf16le')
  for (const source of [text, Buffer.from(text), Buffer.from(`\ufeff${text}`), little, Buffer.from(little).swap16()])
    expect(parseModelfile(source)).toEqual(wanted)
  expect(parseModelfile(text.replaceAll('\n', '\r\n'))).toEqual({ ...wanted, system: 'a\r\nb ü' })
  expect(parseModelfile(text.replaceAll('\n', '\r')).from).toEqual(['x'])
})

const wrongCommand =
  'command must be one of "from", "license", "template", "system", "adapter", "draft", "renderer", "parser", "parameter", "message", or "requires"'
test.each([
  ['', 'no FROM line'],
  ['# nothing\n', 'no FROM line'],
  ['SYSTEM x', 'no FROM line'],
  ['FROM', 'unexpected EOF'],
  ['FROM x\nSYSTEM', 'unexpected EOF'],
  ['FROM x\nPARAMETER stop\n', 'unexpected EOF'],
  ['FROM x\nPARAMETER', 'unexpected EOF'],
  ['FROM x\nMESSAGE user', 'unexpected EOF'],
  ['FROM x\nMESSAGE user  \n', 'unexpected EOF'],
  ['FROM x\nSYSTEM "open', 'unexpected EOF'],
  ['FROM x\nSYSTEM """open"\n"', 'unexpected EOF'],
  ['FROM x\nSYSTEM """', 'unexpected EOF'],
  ['FROM x\nFOO y', `(line 2): ${wrongCommand}`],
  ['\n\nFROMM x', `(line 3): ${wrongCommand}`],
  ['FROM x\nSYSTEM """a\nb"""\nnonsense', `(line 4): ${wrongCommand}`],
  ['FROM x\nMESSAGE robot hi', '(line 2): message role must be one of "system", "user", or "assistant"'],
  ['FROM x\nMESSAGE users hi', '(line 2): message role must be one of "system", "user", or "assistant"'],
  ['FROM x\nREQUIRES v1', 'requires must be a valid semver (e.g. 0.14.0)'],
  ['FROM ./x.gguf\nDRAFT ./x.gguf', 'DRAFT must not reference the same local path as FROM: ./x.gguf'],
])('parseModelfile() refuses %j', (text, message) => {
  expect(() => parseModelfile(text)).toThrow(expect.objectContaining({ code: 'invalid-request', message }))
})

test.each([
  ['bare', 'SYSTEM bare\n'],
  ['two\nlines', 'SYSTEM "two\nlines"\n'],
  [' outer ', 'SYSTEM " outer "\n'],
  ['a "quote"\n', 'SYSTEM """a "quote"\n"""\n'],
  ['say "hi"', 'SYSTEM say "hi"\n'],
  ['"whole"', 'SYSTEM """"whole""""\n'],
  ['', 'SYSTEM ""\n'],
])('formatModelfile() writes %j as %j', (system, line) => {
  expect(formatModelfile({ ...empty, system })).toBe(`FROM x\n${line}`)
})

test('formatModelfile() and parseModelfile() are each other’s inverse', () => {
  const pieces = ['a', ' ', '\n', '"', "'", '#', '{{ .Prompt }}', '\t', 'é', 'FROM y', '\\', '\r\n']
  const next = random(9)
  const text = () => Array.from({ length: Math.floor(next() * 6) }, () => pieces[Math.floor(next() * pieces.length)]).join('')
  for (let i = 0; i < 2000; i++) {
    const modelfile: Modelfile = {
      ...empty,
      system: text(),
      template: text(),
      licenses: [text(), text()],
      messages: [{ role: 'user', content: `m${text()}` }],
      parameters: [['stop', `s${text()}`]],
    }
    const values = [modelfile.system, modelfile.template, ...modelfile.licenses, modelfile.messages[0]?.content, modelfile.parameters[0]?.[1]]
    // What stands for the closing quotes cannot be said: a line that ends with them.
    if (values.some((value) => /"""\s*[\r\n]|"{3}/.test(value ?? '') || /"[ \t]*[\r\n]/.test(value ?? ''))) continue
    expect(parseModelfile(formatModelfile(modelfile)), JSON.stringify(modelfile)).toEqual(modelfile)
  }
})

test('2,000 random texts are a Modelfile or an error with a code', () => {
  const pieces = ['FROM', 'FROM x', 'SYSTEM', 'MESSAGE', 'user', 'PARAMETER', 'stop', '"', '"""', '\n', ' ', '\t', '#', '\0', '🦙', '\r', 'REQUIRES', '1.2.3']
  const next = random(13)
  for (let i = 0; i < 2000; i++) {
    const text = Array.from({ length: Math.floor(next() * 30) }, () => pieces[Math.floor(next() * pieces.length)]).join('')
    try {
      parseModelfile(text)
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid-request' })
    }
  }
})
