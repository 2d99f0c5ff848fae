import { describe, expect, test } from 'vitest'
import type { ReplyParser } from '../../../../main/prompt/messages.ts'
import { CallParser } from '../../../../main/prompt/parsers/calls.ts'
import { families } from '../../../../main/prompt/parsers/families.ts'
import { GenericCallParser } from '../../../../main/prompt/parsers/generic.ts'
import { HarmonyParser } from '../../../../main/prompt/parsers/harmony.ts'
import { ThinkingAndCalls } from '../../../../main/prompt/parsers/reply-parser.ts'
import { ThinkingSplitter } from '../../../../main/prompt/parsers/thinking.ts'
import { familyReplies } from '../../../fixtures/replies/index.ts'
import { fixtureTools } from '../../../helpers/replies.ts'

/** Methods that go through the text that they are called on; those of expressions count by themselves. */
const searches = ['indexOf', 'lastIndexOf', 'includes', 'trim', 'trimStart', 'trimEnd', 'replaceAll'] as const

/** How many characters those methods, and expressions, went through while `work` ran. */
function charactersSeen(work: () => void): number {
  let seen = 0
  const strings = String.prototype as unknown as Record<string, (...given: unknown[]) => unknown>
  const originals = searches.map((name) => [name, strings[name]] as const)
  const { exec } = RegExp.prototype
  for (const [name, original] of originals) {
    strings[name] = function (this: string, ...given: unknown[]) {
      const found = original?.apply(this, given)
      seen += name === 'indexOf' ? (Number(found) < 0 ? this.length : Number(found)) - Number(given[1] ?? 0) : this.length
      return found
    }
  }
  RegExp.prototype.exec = function (text) {
    const from = this.global || this.sticky ? this.lastIndex : 0
    const found = exec.call(this, text)
    seen += found !== null ? found.index + found[0].length - from : this.sticky ? 1 : text.length - from
    return found
  }
  try {
    work()
  } finally {
    for (const [name, original] of originals) strings[name] = original as (typeof strings)[string]
    RegExp.prototype.exec = exec
  }
  return seen
}

const parsers: [name: string, create: () => ReplyParser, replies: string[]][] = [
  ...families.map(({ name, format }): (typeof parsers)[number] => [
    name,
    () => {
      const layout = { open: '<think>', close: '</think>', trimAfterOpen: true, trimBeforeClose: true, trimAfterClose: true, keepLeading: false }
      return new ThinkingAndCalls({ thinking: new ThinkingSplitter(layout, 'start'), calls: new CallParser(format, fixtureTools) })
    },
    familyReplies.filter(({ family }) => family === name).flatMap(({ replies }) => replies.map(({ reply }) => reply)),
  ]),
  ...['<tool_call>', '{', '['].map((tag): (typeof parsers)[number] => [
    `a Go template with the tag ${tag}`,
    () => new GenericCallParser(tag, fixtureTools),
    [`${tag === '{' ? '' : tag}{"name": "add", "arguments": {"a": 1, "b": 2}}`],
  ]),
  [
    'gpt-oss',
    () => new HarmonyParser(fixtureTools),
    ['<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.add <|constrain|>json<|message|>{"a": 1, "b": 2}<|call|>'],
  ],
]

describe.each(parsers)('%s, a reply that goes on and on anywhere:', (_, create, replies) => {
  test.each(['word ', ' ', '\n', '<', '{"a": 1} ', '"', 'add(', ', '])('%j', { timeout: 60_000 }, (filler) => {
    // The longest shows the most of the family's form.
    const [reply = ''] = replies.toSorted((a, b) => b.length - a.length)
    for (let part = 0; part <= 12; part++) {
      const at = Math.floor((reply.length * part) / 12)
      const [once = 0, twice = 0] = [2_000, 4_000].map((length) => {
        const long = reply.slice(0, at) + filler.repeat(length / filler.length) + reply.slice(at)
        const parser = create()
        const pieces = long.match(/[\s\S]{1,4}/g) ?? []
        return charactersSeen(() => {
          for (const piece of pieces) parser.push(piece)
          parser.end(true)
        })
      })
      expect(twice / once, `${reply.slice(Math.max(0, at - 30), at)}…`).toBeLessThan(2.6)
    }
  })
})
