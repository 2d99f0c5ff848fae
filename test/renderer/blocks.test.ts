import { expect, test } from 'vitest'
import { MarkdownBlocks } from '../../renderer/markdown/blocks.ts'

const words = { copyCode: 'Copy' }
const html = (text: string) => new MarkdownBlocks(words).update(text).map((block) => block.html.trim())

const sample = `# Title

A paragraph with **bold**, \`code\` and a [link](https://example.com/a?b=1&c=2).
Second line of it.

- one
- two

  with a paragraph
- three

1. first
2. second

| a | b |
|---|---|
| 1 | <br> |

\`\`\`python
def f(x):
    return "<b>" + x

print(f(1))
\`\`\`

> quoted
> more

    indented

    code

- [x] done
- [ ] open

Setext
------

The [reference] is resolved.

[reference]: https://example.com/ref

Again the [reference], after it.
`

test('a text that grows in pieces of any size gives the blocks of the whole', () => {
  const whole = html(sample)
  for (const step of [1, 2, 3, 7, 40, 333]) {
    const growing = new MarkdownBlocks(words)
    let last: string[] = []
    for (let end = step; end < sample.length + step; end += step) last = growing.update(sample.slice(0, end)).map((block) => block.html.trim())
    // A reference may be used before it is defined; a growing text has shown it as text by then.
    const comparable = (blocks: string[]) => blocks.filter((block) => !block.includes('is resolved'))
    expect(comparable(last), `in steps of ${step}`).toEqual(comparable(whole))
  }
})

test('a growing text keeps the blocks before its last', () => {
  const growing = new MarkdownBlocks(words)
  const [first] = growing.update('one\n\ntwo')
  expect(growing.update('one\n\ntwo three\n\nfour')[0]).toBe(first)
})

test('another text begins anew', () => {
  const blocks = new MarkdownBlocks(words)
  blocks.update('one\n\ntwo')
  expect(blocks.update('other').map((block) => block.html)).toEqual(['<p>other</p>\n'])
})

test('HTML that a model writes is shown as text', () => {
  expect(html('<img src=x onerror=alert(1)>\n\nand <script>alert(1)</script> H<sub>2</sub>O<br>')).toEqual([
    '&lt;img src=x onerror=alert(1)&gt;',
    '<p>and &lt;script&gt;alert(1)&lt;/script&gt; H<sub>2</sub>O<br></p>',
  ])
})

test.for([
  ['[x](javascript:alert(1))', '<p>x</p>'],
  ['[x](data:text/html,hi)', '<p>x</p>'],
  ['[x](file:///etc/passwd)', '<p>x</p>'],
  ['[x](/relative)', '<p>x</p>'],
  [
    '![secret](https://evil.example/?q=1)',
    '<p><a href="https://evil.example/?q=1" title="https://evil.example/?q=1" target="_blank" rel="noreferrer noopener">secret</a></p>',
  ],
  ['![x](data:image/svg+xml,1)', '<p>x</p>'],
] as const)('%s becomes harmless', ([source, expected]) => {
  expect(html(source)).toEqual([expected])
})

test('code is coloured by classes, an unknown language is plain, and both are escaped', () => {
  expect(html('```json\n{"a": "<b>"}\n```')[0]).toContain('<span class="hljs-string">&quot;&lt;b&gt;&quot;</span>')
  expect(html('```nope"onload=x\n<b>\n```')[0]).toContain('<span>nope</span>')
  expect(html('```nope\n<b>\n```')[0]).toContain('<code>&lt;b&gt;</code>')
})
