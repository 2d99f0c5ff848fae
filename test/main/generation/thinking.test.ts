import { describe, expect, test } from 'vitest'
import { thinkingLimit } from '../../../main/generation/thinking.ts'
import { type PromptTemplate, promptTemplate } from '../../../main/prompt/template.ts'
import { eventsOf, text, thinking } from '../../helpers/replies.ts'

const specials = { bosText: '', eosText: '' }
const never = async () => ''
const qwen = promptTemplate({ go: null, jinja: "{{ '<think>' }}{{ '</think>' }}", render: never, specials })
const harmony = promptTemplate({ go: null, jinja: '<|start|>assistant<|channel|>analysis<|message|><|end|>', render: never, specials })
const silent = promptTemplate({ go: null, jinja: '{{ messages }}', render: never, specials })
const words = 'Considering the limited time by the user, I have to give the solution based on the thinking directly now.'

/** What a client sees of a reply whose thinking was closed so. */
const read = (template: PromptTemplate, reply: string) => eventsOf(template.parser({ tools: [], think: true, prompt: 'a' }), reply)

describe('thinkingLimit()', () => {
  test('is none without a budget, or for a template that has no marks of thinking', () => {
    expect([thinkingLimit(qwen, null, 'a', false), thinkingLimit(silent, 5, 'a', false)]).toEqual([null, null])
  })

  test('closes a block by the words that models know and its tag, which the parser reads as any', () => {
    const limit = thinkingLimit(qwen, 5, 'a', false)
    expect(limit).toEqual({ tokens: 5, open: '<think>', end: '</think>', opened: false, anywhere: false, closings: [`\n\n${words}\n</think>`] })
    expect(read(qwen, `<think>I muse${limit?.closings[0]}\n\nParis.`)).toEqual([thinking(`I muse\n\n${words}\n`), text('\n\nParis.')])
  })

  test('knows a block that the prompt has opened', () => {
    expect(thinkingLimit(qwen, 5, '<|im_start|>assistant\n<think>\n', false)).toMatchObject({ opened: true })
  })

  test('closes without a word where nothing may be thought', () => {
    expect(thinkingLimit(qwen, 0, 'a', false)?.closings).toEqual(['\n</think>'])
  })

  test("goes on in Harmony's final channel, which the parser reads as any", () => {
    const [closing] = thinkingLimit(harmony, 5, 'a', false)?.closings ?? []
    expect(closing).toBe(`\n\n${words}\n<|end|><|start|>assistant<|channel|>final<|message|>`)
    expect(read(harmony, `<|channel|>analysis<|message|>I muse${closing}Paris.`)).toEqual([thinking(`I muse\n\n${words}\n`), text('Paris.')])
  })

  test('leaves the next channel to the model where it may call a tool, once', () => {
    const limit = thinkingLimit(harmony, 5, 'a', true)
    expect(limit).toMatchObject({ end: '<|end|>', anywhere: true, closings: [/assistant$/, /final<\|message\|>$/].map((end) => expect.stringMatching(end)) })
  })
})
