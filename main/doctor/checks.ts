import type { Reply } from '../generation/fold.ts'
import type { JsonObject } from '../lib/json.ts'
import type { Capability } from '../models/model.ts'
import type { Message, Tool } from '../prompt/messages.ts'
import type { Question } from './dialogue.ts'

/** A canned dialogue, and what its reply must be like. */
export interface Check {
  id: string
  /** What is asked for, in a few words. */
  title: string
  /** Which capability says that it will pass; null where no model's file promises it. */
  claimedBy: Capability | null
  /** Without it there is nothing to ask. */
  needs: Capability | null
  /** @param contextLength tokens, null where it is not known */
  ask: (contextLength: number | null) => Question
  /** What is wrong with the reply, as a sentence without a stop; null when it is as it should be. */
  fault: (reply: Reply) => string | null
}

const user = (content: string): Message => ({ role: 'user', content })

const weather: Tool = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Get the weather of a city',
    parameters: { type: 'object', required: ['city'], properties: { city: { type: 'string', description: 'The city' } } },
  },
}

const profile = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 40 }, inhabitants: { type: 'integer' }, capital: { type: 'boolean' } },
  required: ['name', 'inhabitants', 'capital'],
  additionalProperties: false,
} satisfies JsonObject

/** Marks that belong between the engine and the model: one that is seen was not understood. */
const markup = /<\/?(?:think|thinking|tool_call|function_call|tool_response)>|\[\/?(?:THINK|TOOL_CALLS)\]|<\|[\w|-]+\|>|<｜/i

function proseFault({ text }: Reply): string | null {
  if (text.trim() === '') return 'it said nothing'
  return markup.test(text) ? 'marks of its template are in the text' : null
}

function callFault({ toolCalls: calls, text, brokenCall }: Reply, cities: readonly RegExp[]): string | null {
  if (brokenCall !== '') return 'a call was begun and not ended'
  if (calls.length !== cities.length)
    return `${calls.length === 0 ? 'no call' : `${calls.length} calls`} instead of ${cities.length === 1 ? 'one' : cities.length}`
  if (markup.test(text)) return 'marks of its template are in the text'
  const wrong = calls.find(({ name }) => name !== weather.function.name)
  if (wrong !== undefined) return `the call is of ${wrong.name}, which is no tool`
  const asked = calls.map(({ arguments: given }) => JSON.stringify(given.city ?? ''))
  return cities.every((city) => asked.some((name) => city.test(name))) ? null : 'the arguments name another city'
}

function schemaFault({ text }: Reply): string | null {
  let value: Record<string, unknown>
  try {
    value = JSON.parse(text)
  } catch {
    return 'it is no JSON'
  }
  const { name, inhabitants, capital, ...more } = value
  const fits = typeof name === 'string' && Number.isInteger(inhabitants) && typeof capital === 'boolean' && Object.keys(more).length === 0
  return fits ? null : 'it is JSON, but not of the schema'
}

/** Facts without meaning, and among them the one that is asked for; a quarter of the context at most. */
function haystack(contextLength: number | null): string {
  const tokensPerFact = 14
  const count = Math.max(4, Math.min(40, Math.floor((contextLength ?? 2048) / 4 / tokensPerFact)))
  const facts = Array.from({ length: count }, (_, at) => `Box number ${at + 1} holds ${at + 3} grey stones.`)
  return facts.toSpliced(Math.floor(count / 3), 0, 'The secret word is kangaroo.').join('\n')
}

/** In the order in which they are made. */
export const checks: readonly Check[] = [
  {
    id: 'answer',
    title: 'answers a question',
    claimedBy: 'completion',
    needs: null,
    ask: () => ({ messages: [user('What is the capital of France?')] }),
    fault: proseFault,
  },
  {
    id: 'stop',
    title: 'stops by itself',
    claimedBy: 'completion',
    needs: null,
    ask: () => ({ messages: [user('Name the capital of Italy in one short sentence.')] }),
    fault: ({ done }) => (done.reason === 'stop' ? null : 'it went on until it was stopped'),
  },
  {
    id: 'system',
    title: 'follows the system prompt',
    claimedBy: null,
    needs: null,
    ask: () => ({
      messages: [{ role: 'system', content: 'Whatever you are asked, answer with the one word BANANA.' }, user('What is the capital of France?')],
    }),
    fault: ({ text }) => (/banana/i.test(text) ? null : 'it does not say what it was told to'),
  },
  {
    id: 'unicode',
    title: 'writes other scripts',
    claimedBy: null,
    needs: null,
    ask: () => ({ messages: [user('Repeat exactly this, and nothing else: naïve 世界 😀')] }),
    fault: ({ text }) =>
      text.includes('\ufffd') ? 'characters are broken' : ['naïve', '世界', '😀'].every((part) => text.includes(part)) ? null : 'parts are missing',
  },
  {
    id: 'recall',
    title: 'finds a fact in a long text',
    claimedBy: null,
    needs: null,
    ask: (contextLength) => ({ messages: [user(`${haystack(contextLength)}\n\nWhat is the secret word?`)] }),
    fault: ({ text, done }) => (done.truncation ? 'the prompt did not fit' : /kangaroo/i.test(text) ? null : 'it does not name it'),
  },
  {
    id: 'prefill',
    title: 'goes on with a reply that was begun',
    claimedBy: null,
    needs: null,
    ask: () => ({ messages: [user('Count from one to six in words.'), { role: 'assistant', content: 'one, two, three,' }] }),
    fault: ({ text }) => (/four/i.test(text) && !/one[\s\S]*\bone\b/i.test(text) ? null : 'it does not go on from there'),
  },
  {
    id: 'schema',
    title: 'answers by a JSON Schema',
    claimedBy: 'completion',
    needs: null,
    ask: () => ({
      messages: [user('Describe Paris as JSON: its name, its inhabitants, whether it is a capital.')],
      format: { type: 'schema', schema: profile },
    }),
    fault: schemaFault,
  },
  {
    id: 'thinking-on',
    title: 'thinks apart from its answer',
    claimedBy: 'thinking',
    needs: 'thinking',
    ask: () => ({ messages: [user('What is 17 + 25?')], think: true }),
    fault: (reply) => (reply.thinking.trim() === '' ? 'it did not think' : proseFault(reply)),
  },
  {
    id: 'thinking-off',
    title: 'does not think when told so',
    claimedBy: 'thinking',
    needs: 'thinking',
    ask: () => ({ messages: [user('What is 17 + 25?')], think: false }),
    fault: (reply) => (reply.thinking.trim() === '' ? proseFault(reply) : 'it thought'),
  },
  {
    id: 'call',
    title: 'calls a tool',
    claimedBy: 'tools',
    needs: 'tools',
    ask: () => ({ messages: [user('What is the weather in Paris?')], tools: [weather] }),
    fault: (reply) => callFault(reply, [/paris/i]),
  },
  {
    id: 'two-calls',
    title: 'calls twice in one turn',
    claimedBy: null,
    needs: 'tools',
    ask: () => ({ messages: [user('What is the weather in Paris and in Rome? Ask for both at once.')], tools: [weather] }),
    fault: (reply) => callFault(reply, [/paris/i, /rome|roma/i]),
  },
  {
    id: 'tool-result',
    title: "tells a tool's result",
    claimedBy: 'tools',
    needs: 'tools',
    ask: () => ({
      messages: [
        user('What is the weather in Paris?'),
        { role: 'assistant', content: '', toolCalls: [{ id: 'call_12345', index: 0, name: weather.function.name, arguments: { city: 'Paris' } }] },
        { role: 'tool', content: '21 degrees and sunny', toolName: weather.function.name, toolCallId: 'call_12345' },
      ],
      tools: [weather],
    }),
    fault: (reply) => (reply.toolCalls.length > 0 ? 'it called again' : (proseFault(reply) ?? (reply.text.includes('21') ? null : 'the result is not in it'))),
  },
  {
    id: 'tool-required',
    title: 'calls where it must',
    claimedBy: 'tools',
    needs: 'tools',
    ask: () => ({ messages: [user('Hello!')], tools: [weather], toolChoice: 'required' }),
    fault: ({ toolCalls: [call] }) => (call?.name === weather.function.name ? null : 'it did not call'),
  },
  {
    id: 'no-call',
    title: 'does not call without a need',
    claimedBy: null,
    needs: 'tools',
    ask: () => ({ messages: [user('What is the capital of France?')], tools: [weather] }),
    fault: (reply) => (reply.toolCalls.length > 0 ? 'it called' : proseFault(reply)),
  },
]
