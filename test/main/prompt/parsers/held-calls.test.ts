import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { afterAll, describe, expect, test } from 'vitest'
import { renderConversation } from '../../../../main/prompt/jinja.ts'
import type { Message, Tool, ToolCall } from '../../../../main/prompt/messages.ts'
import { CallParser } from '../../../../main/prompt/parsers/calls.ts'
import { families, familyOf } from '../../../../main/prompt/parsers/families.ts'
import type { Family } from '../../../../main/prompt/parsers/family.ts'
import { accepts } from '../../../helpers/grammar-engine.ts'
import { GrammarSampler } from '../../../helpers/grammar-sampler.ts'
import { realTemplate, realTemplates, startRenderer } from '../../../helpers/real-templates.ts'
import { eventsOf, fixtureTools } from '../../../helpers/replies.ts'

const renderer = startRenderer()
const never = new AbortController().signal
const specials = { bosText: '<s>', eosText: '</s>' }
afterAll(() => renderer[Symbol.asyncDispose]())

const call = (name: string, args: ToolCall['arguments'], index = 0): ToolCall => ({ id: `call0000${index}`, index, name, arguments: args })

/** Templates that render no call of an earlier reply, or write lists and texts otherwise than their models are taught to. */
const unwritten = [
  'HuggingFaceTB-SmolLM3-3B.jinja',
  'LFM2-8B-A1B.jinja',
  'LFM2.5-Instruct.jinja',
  'deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja',
  'google-gemma-2-2b-it.jinja',
  'ibm-granite-granite-3.3-2B-Instruct.jinja',
  'llama-cpp-rwkv-world.jinja',
  'microsoft-Phi-3.5-mini-instruct.jinja',
]

const writable: { file: string; family: string }[] = []
for (const file of realTemplates) {
  const family = familyOf(await realTemplate(file))
  if (family !== null && !unwritten.includes(file)) writable.push({ file, family: family.name })
}

/** Templates that fail over a schema with a union of types or an open object are shown none. */
const simpleSchemas = ['CohereForAI-c4ai-command-r-plus-tool_use.jinja', 'GigaChat3-10B-A1.8B.jinja', 'GigaChat3.1-10B-A1.8B.jinja']
const simpleTools = fixtureTools.map((tool): Tool => ({ ...tool, function: { ...tool.function, parameters: { type: 'object', properties: {} } } }))

/** What the template writes for a reply of these calls, as far as a grammar is concerned with it: from its trigger on. */
async function written(file: string, calls: ToolCall[], trigger: string): Promise<string> {
  const jinja = await realTemplate(file)
  const tools = simpleSchemas.includes(file) ? simpleTools : fixtureTools
  const reply: Message = { role: 'assistant', content: '', thinking: 'Hm.', toolCalls: calls }
  const question: Message = { role: 'user', content: 'Go on.' }
  const before = (await renderConversation(renderer.render, jinja, [question, { ...reply, content: 'Words.', toolCalls: [] }], specials, never, tools)) ?? ''
  const whole = (await renderConversation(renderer.render, jinja, [question, reply], specials, never, tools)) ?? ''
  let same = 0
  while (same < whole.length && whole[same] === before[same]) same++
  // Words and calls may begin with the same mark.
  for (const text of [whole.slice(same), whole.slice(Math.max(0, same - 20))]) {
    const begins = new RegExp(trigger, 'd').exec(text)?.indices?.[1]?.[0]
    if (begins !== undefined) return text.slice(begins)
  }
  return whole
}

/** Behind the calls stand what ends a turn, white space, with one template instructions. */
function isHeld(gbnf: string, text: string): boolean {
  const ends = Array.from({ length: Math.min(1500, text.length) }, (_, back) => text.slice(0, text.length - back))
  return accepts(gbnf, ...ends).includes(true)
}

describe.runIf(realTemplates.length > 0)('calls as a template writes them are held', { timeout: 60_000 }, () => {
  test.each(writable)('$family, $file', async ({ file }) => {
    const family = familyOf(await realTemplate(file))
    const { gbnf, trigger } = family?.holdCalls(fixtureTools, { parallel: true }) ?? { gbnf: '', trigger: '' }
    const judged = async (...calls: ToolCall[]) => isHeld(gbnf, await written(file, calls, trigger))
    expect({
      weather: await judged(call('get_weather', { city: 'Val d"Or', days: 3 })),
      note: await judged(call('save_note', { text: 'a <b> é', urgent: false })),
      undeclared: await judged(call('get_whether', { city: 'Paris' })),
      incomplete: await judged(call('get_weather', { days: 3 })),
      mistyped: await judged(call('add', { a: 'x', b: 2 })),
      extra: await judged(call('get_weather', { city: 'Paris', country: 'FR' })),
    }).toEqual({ weather: true, note: true, undeclared: false, incomplete: false, mistyped: false, extra: false })
  })
})

/** Schemas as users send them, limits among them that every form must keep. */
const richTools: Tool[] = [
  ...fixtureTools,
  {
    type: 'function',
    function: {
      name: 'book',
      parameters: {
        type: 'object',
        $defs: {
          person: {
            type: 'object',
            properties: { name: { type: 'string', minLength: 1, maxLength: 5 }, age: { type: 'integer', minimum: 0, maximum: 150 } },
            required: ['name'],
          },
        },
        properties: {
          day: { type: 'string', format: 'date' },
          room: { enum: ['single', 'double "king"', 'a\nb'] },
          people: { type: 'array', items: { $ref: '#/$defs/person' }, minItems: 1, maxItems: 3 },
          note: { anyOf: [{ type: 'string', maxLength: 6 }, { type: 'null' }], description: 'Free' },
          code: { type: 'string', pattern: '^[A-Z]{2}-\\d+$' },
          price: { type: ['number', 'null'] },
          mode: { const: 'now' },
        },
        required: ['day', 'people', 'mode'],
      },
    },
  },
  { type: 'function', function: { name: 'ping', parameters: { type: 'object', properties: {} } } },
]

const ajv = new Ajv2020({ strict: false })
addFormats.default(ajv)

/** What is wrong with a reply that was drawn from the grammar of a family; null when it is nothing but calls that fit. */
function faultOf(family: Family, tools: Tool[], text: string, most: number): string | null {
  const { prompted = '' } = family.format
  const isBegun = prompted !== '' && !text.startsWith(prompted)
  const events = eventsOf(new CallParser(family.format, tools, isBegun ? prompted : ''), text)
  if (events.length === 0 || events.length > most) return `${events.length} calls`
  for (const event of events) {
    if (event.type !== 'tool-call') return `${event.type}: ${event.text}`
    const tool = tools.find(({ function: { name } }) => name === event.call.name)
    if (tool === undefined) return `no tool ${event.call.name}`
    if (!ajv.validate(tool.function.parameters as object, event.call.arguments)) return `${JSON.stringify(event.call)} ${ajv.errorsText()}`
  }
  return null
}

describe.each(families.map((family) => ({ name: family.name, family })))('texts of the grammar of $name', { timeout: 60_000 }, ({ family }) => {
  test.each([true, false])('are calls that fit the schemas, several: %s', (parallel) => {
    const { gbnf } = family.holdCalls(richTools, { parallel })
    const sampler = new GrammarSampler(gbnf)
    const texts = Array.from({ length: 150 }, (_, seed) => sampler.draw(seed))
    expect(accepts(gbnf, ...texts).indexOf(false)).toBe(-1)
    for (const text of texts) expect(faultOf(family, richTools, text, parallel ? Number.POSITIVE_INFINITY : 1), text).toBeNull()
  })
})

/** Arguments that no schema declares, alone and beside others; one that is demanded only. */
const openTools: Tool[] = [
  { type: 'function', function: { name: 'set', parameters: { type: 'object', additionalProperties: { type: 'integer', minimum: 0 } } } },
  {
    type: 'function',
    function: {
      name: 'tune',
      parameters: {
        type: 'object',
        properties: { level: { const: 'x' }, lever: { const: 'y' } },
        required: ['level'],
        additionalProperties: { type: 'boolean' },
      },
    },
  },
  { type: 'function', function: { name: 'ask', parameters: { type: 'object', properties: {}, required: ['why'] } } },
  { type: 'function', function: { name: 'free', parameters: { type: 'object' } } },
]

// MiniMax M3 writes objects in tags, so that every key must be known.
const open = families.filter(({ name }) => name !== 'minimax-m3').map((family) => ({ name: family.name, family }))

describe.each(open)('texts of the grammar of $name', { timeout: 60_000 }, ({ family }) => {
  test('are calls that fit schemas which leave names open', () => {
    const { gbnf } = family.holdCalls(openTools, { parallel: false })
    const sampler = new GrammarSampler(gbnf)
    const texts = Array.from({ length: 150 }, (_, seed) => sampler.draw(seed))
    expect(accepts(gbnf, ...texts).indexOf(false)).toBe(-1)
    for (const text of texts) expect(faultOf(family, openTools, text, 1), text).toBeNull()
  })
})
