import { afterAll, describe, expect, test } from 'vitest'
import { renderConversation } from '../../../../main/prompt/jinja.ts'
import type { Message, Tool, ToolCall } from '../../../../main/prompt/messages.ts'
import { familyOf } from '../../../../main/prompt/parsers/families.ts'
import { isHarmony } from '../../../../main/prompt/parsers/harmony.ts'
import { type PromptTemplate, promptTemplate } from '../../../../main/prompt/template.ts'
import { thinkingTags } from '../../../../main/prompt/thinking-tags.ts'
import { realTemplate, realTemplates, startRenderer } from '../../../helpers/real-templates.ts'
import { eventsOf, fixtureTools } from '../../../helpers/replies.ts'

const renderer = startRenderer()
const never = new AbortController().signal
const specials = { bosText: '<s>', eosText: '</s>' }
afterAll(() => renderer[Symbol.asyncDispose]())

const question: Message = { role: 'user', content: 'Go on.' }
const calls: ToolCall[] = [
  {
    id: 'call00001',
    index: 0,
    name: 'save_note',
    arguments: { text: 'São "Paulo"\n<b> {x} 日本 🦙', tags: ['a', 'b c'], meta: { by: 'me', pinned: true }, urgent: false },
  },
  { id: 'call00002', index: 1, name: 'get_weather', arguments: { city: "Val-d'Or", days: 3 } },
  { id: 'call00003', index: 2, name: 'add', arguments: { a: -1.5, b: 20 } },
]

/** Templates that render no call of an earlier reply, and why their models are still understood. */
const silent: Record<string, string> = {
  'HuggingFaceTB-SmolLM3-3B.jinja': 'takes no tools',
  'LFM2-8B-A1B.jinja': 'renders the words only',
  'LFM2.5-Instruct.jinja': 'renders the words only',
  'deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja': 'takes no tools',
  'google-gemma-2-2b-it.jinja': 'takes no tools',
  'ibm-granite-granite-3.3-2B-Instruct.jinja': 'renders the words only',
  'llama-cpp-rwkv-world.jinja': 'takes no tools',
  'microsoft-Phi-3.5-mini-instruct.jinja': 'takes no tools',
}

/** What a template cannot write of a call. */
const losses: Record<string, Partial<ToolCall>[]> = {
  'openbmb-MiniCPM5-1B.jinja': [{ arguments: { ...calls[0]?.arguments, tags: 'ab c', meta: '' } }],
}

/** Templates that take one call in a reply. */
const single = [
  'meta-llama-Llama-3.1-8B-Instruct.jinja',
  'meta-llama-Llama-3.2-3B-Instruct.jinja',
  'meta-llama-Llama-3.3-70B-Instruct.jinja',
  'GigaChat3-10B-A1.8B.jinja',
  'GigaChat3.1-10B-A1.8B.jinja',
  'openai-gpt-oss-120b.jinja',
]

/** Templates that fail over a schema with a union of types or an open object. */
const simpleSchemas = ['CohereForAI-c4ai-command-r-plus-tool_use.jinja', 'GigaChat3-10B-A1.8B.jinja', 'GigaChat3.1-10B-A1.8B.jinja']
const simpleTools = fixtureTools.map((tool): Tool => ({ ...tool, function: { ...tool.function, parameters: { type: 'object', properties: {} } } }))

/**
 * What the template writes for the reply to the question, as the model would: from behind the prompt on.
 *
 * Some open a thinking block in the prompt, and leave it out of a reply that is history: then the text begins where the block would.
 */
async function written(jinja: string, reply: Message, tools: Tool[]): Promise<{ template: PromptTemplate; prompt: string; text: string }> {
  const template = promptTemplate({ go: null, jinja, render: renderer.render, specials })
  const prompt = await template.render({ messages: [question], tools, think: true }, never)
  const whole = (await renderConversation(renderer.render, jinja, [question, reply], specials, never, tools)) ?? ''
  const open = template.thinkingTags?.open ?? ''
  const begins = [prompt, prompt.slice(0, prompt.lastIndexOf(open))].find((start) => whole.startsWith(start)) ?? ''
  return { template, prompt: begins, text: whole.slice(begins.length) }
}

/** A file of each family, and harmony's. */
const readable: { file: string; family: string }[] = []
for (const file of realTemplates) {
  const jinja = await realTemplate(file)
  const family = isHarmony(jinja) ? 'harmony' : familyOf(jinja)?.name
  if (family !== undefined && !(file in silent)) readable.push({ file, family })
}

describe.runIf(realTemplates.length > 0)('calls that a template writes are read back:', () => {
  test.each(readable)('$file', async ({ file }) => {
    const jinja = await realTemplate(file)
    const tools = simpleSchemas.includes(file) ? simpleTools : fixtureTools
    const wanted = single.includes(file) ? calls.slice(0, 1) : calls
    const { template, prompt, text } = await written(jinja, { role: 'assistant', content: '', thinking: 'Hm.', toolCalls: wanted }, tools)
    const events = eventsOf(template.parser({ tools, think: true, prompt, messages: [question] }), text)
    const found = events.flatMap((event) => (event.type === 'tool-call' ? [event.call] : []))
    expect(
      found.map(({ name, arguments: args }) => ({ name, arguments: args })),
      text,
    ).toEqual(wanted.map(({ name, arguments: args }, index) => ({ name, arguments: args, ...losses[file]?.[index] })))
  })

  const oneOfEach = readable.filter(({ family }, index) => readable.findIndex((other) => other.family === family) === index)

  // A reader that goes over its text again at every token would take minutes for one of these.
  test.each(oneOfEach)('$file, 200 kB of them, a character at a time', { timeout: 60_000 }, async ({ file }) => {
    const jinja = await realTemplate(file)
    const tools = simpleSchemas.includes(file) ? simpleTools : fixtureTools
    const long = 'A {"b": [c]} <d>,\n'.repeat(10_000)
    const wanted: ToolCall = { id: 'call00001', index: 0, name: 'save_note', arguments: { text: long } }
    const { template, prompt, text } = await written(jinja, { role: 'assistant', content: '', thinking: 'Hm.', toolCalls: [wanted] }, tools)
    const events = eventsOf(template.parser({ tools, think: true, prompt, messages: [question] }), text.split(''))
    expect(events.find((event) => event.type === 'tool-call')?.call.arguments.text === long).toBe(true)
  })
})

/** Templates that leave the thinking of an earlier reply out: what their models write behind the prompt. */
const thoughts: Record<string, string> = {
  'Apriel-1.6-15b-Thinker-fixed.jinja': 'I know.\n[BEGIN FINAL RESPONSE]\nParis.\n[END FINAL RESPONSE]',
  'Apertus-8B-Instruct.jinja': '<|inner_prefix|>I know.<|inner_suffix|>Paris.',
  'CohereForAI-c4ai-command-r7b-12-2024-tool_use.jinja': '<|START_THINKING|>I know.<|END_THINKING|><|START_RESPONSE|>Paris.<|END_RESPONSE|>',
  'HuggingFaceTB-SmolLM3-3B.jinja': '<think>I know.</think>Paris.',
  'Kimi-K2-Thinking.jinja': '<think>I know.</think>Paris.',
  'NVIDIA-Nemotron-Nano-v2.jinja': 'I know.</think>Paris.',
  'Qwen-QwQ-32B.jinja': 'I know.</think>Paris.',
  'deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja': 'I know.</think>Paris.',
  'deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja': 'I know.</think>Paris.',
  'deepseek-ai-DeepSeek-V3.1.jinja': 'I know.</think>Paris.',
  'google-gemma-4-31B-it-interleaved.jinja': '<|channel>thought\nI know.<channel|>Paris.',
  'google-gemma-4-31B-it.jinja': '<|channel>thought\nI know.\n<channel|>Paris.',
  'ibm-granite-granite-3.3-2B-Instruct.jinja': '<think>I know.</think><response>Paris.</response>',
  'llama-cpp-deepseek-r1.jinja': 'I know.</think>Paris.',
  'llama-cpp-rwkv-world.jinja': 'I know.</think>Paris.',
  'mistralai-Ministral-3-14B-Reasoning-2512.jinja': '[THINK]I know.[/THINK]Paris.',
  'unsloth-Apriel-1.5.jinja': 'Here are my reasoning steps:I know.[BEGIN FINAL RESPONSE]Paris.\n[END FINAL RESPONSE]',
}

const thinkers: string[] = []
for (const file of realTemplates) {
  const jinja = await realTemplate(file)
  if (thinkingTags(jinja) !== null && (file !== 'Kimi-K3.jinja' || familyOf(jinja) !== null)) thinkers.push(file)
}

describe.runIf(realTemplates.length > 0)('thinking is split as the template writes it:', () => {
  test.each(thinkers)('%s', async (file) => {
    const jinja = await realTemplate(file)
    const rendered = await written(jinja, { role: 'assistant', content: 'Paris.', thinking: 'I know.' }, [])
    const text = thoughts[file] ?? rendered.text.slice(0, rendered.text.indexOf('Paris.') + 'Paris.'.length)
    const prompt = thoughts[file] === undefined ? rendered.prompt : await rendered.template.render({ messages: [question], tools: [], think: true }, never)
    const events = eventsOf(rendered.template.parser({ tools: [], think: true, prompt, messages: [question] }), text)
    expect(events, text).toEqual([
      { type: 'thinking', text: 'I know.' },
      { type: 'text', text: 'Paris.' },
    ])
  })
})
