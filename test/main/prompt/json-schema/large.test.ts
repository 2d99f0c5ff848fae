import { describe, expect, test } from 'vitest'
import type { Json, JsonObject } from '../../../../main/lib/json.ts'
import { schemaToGrammar } from '../../../../main/prompt/json-schema/grammar.ts'
import { families } from '../../../../main/prompt/parsers/families.ts'
import { accepts } from '../../../helpers/grammar-engine.ts'

/** Properties that all may be left out. */
function optional(count: number, value: Json = { type: 'integer' }): JsonObject {
  return { type: 'object', properties: Object.fromEntries(Array.from({ length: count }, (_, at) => [`name${at}`, value])) }
}

const person = { type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer' } } }
const words = Array.from({ length: 5000 }, (_, at) => `value ${at}`)

/** Schemas of which a careless grammar is refused by the engine, or keeps it busy for seconds: texts that each must allow and must not. */
const large: [claim: string, schema: JsonObject, allowed: string[], forbidden: string[]][] = [
  [
    '500 optional properties',
    optional(500),
    ['{}', '{"name0": 1}', '{"name3": 1, "name499": 2}'],
    ['{"name4": 1, "name3": 2}', '{"name500": 1}', '{"name1": 1,}', '{"name7": "x"}'],
  ],
  [
    '500 optional properties and the last required',
    { ...optional(500), required: ['name499'] },
    ['{"name499": 1}', '{"name3": 1, "name499": 2}'],
    ['{}', '{"name3": 1}'],
  ],
  [
    '500 optional properties and others',
    { ...optional(500), additionalProperties: { type: 'null' } },
    ['{}', '{"other": null}', '{"name3": 1, "name": null, "name5000": null}'],
    ['{"name3": null}', '{"other": 1}'],
  ],
  ['500 texts with limits', optional(500, { type: 'string', maxLength: 1999 }), ['{"name1": "x"}', '{}'], [`{"name1": "${'x'.repeat(2000)}"}`]],
  ['a list of up to 2,000 objects', { type: 'array', items: person, maxItems: 2000 }, ['[]', '[{"name": "x"}, {}]'], ['[1]', '[{},]']],
  ['a list of up to 2,500 numbers', { type: 'array', items: { const: 1 }, maxItems: 2500 }, [`[${Array(2500).fill(1)}]`], [`[${Array(2501).fill(1)}]`]],
  [
    'a list of at least 2,000 numbers',
    { type: 'array', items: { const: 1 }, minItems: 2000 },
    [`[${Array(2000).fill(1)}]`, `[${Array(2100).fill(1)}]`],
    [`[${Array(1999).fill(1)}]`],
  ],
  ['a text of up to 2,000 letters', { type: 'string', maxLength: 2000 }, [`"${'x'.repeat(2000)}"`], [`"${'x'.repeat(2001)}"`]],
  ['5,000 values', { enum: words }, ['"value 0"', '"value 10"', '"value 4999"'], ['"value 5000"', '"value "', '"value 1']],
  [
    'values that begin alike',
    { enum: [...'abcdefghijklmnopq', 'ab', 'abc', '', '🦙a', '🦙b', 1, 10] },
    ['""', '"abc"', '"🦙b"', '"ab"', '1', '10'],
    ['"🦙"', '100', '"ac"'],
  ],
]

describe('schemaToGrammar() holds', () => {
  test.each(large)('%s', (_, schema, allowed, forbidden) => {
    expect(accepts(schemaToGrammar(schema), ...allowed, ...forbidden)).toEqual([...allowed.map(() => true), ...forbidden.map(() => false)])
  })
})

test('schemaToGrammar() grows with the number of optional properties, not with its square', () => {
  const [some = 0, many = 0] = [250, 500].map((count) => schemaToGrammar(optional(count)).length)
  expect(many / some).toBeLessThan(2.1)
  expect(many).toBeLessThan(60_000)
})

test.each(['^(a|b(c|d)){1,900}$', '^((ab){20}){200}$', '^(?:[a-z]{1,40},){0,60}$'])(
  'schemaToGrammar() names a pattern that the engine would not take: %s',
  (pattern) => {
    expect(() => schemaToGrammar({ type: 'string', pattern })).toThrow(/keyword "pattern" cannot be honoured: a group in it is repeated too often/)
  },
)

test.each(['^(a|b(c|d)){1,300}$', '^([a-z]{1,10},){0,100}$', '^[a-z]{0,1999}$'])('schemaToGrammar() holds the pattern %s', (pattern) => {
  expect(accepts(schemaToGrammar({ type: 'string', pattern }), '"?"')).toEqual([false])
})

describe.each(families.map((family) => ({ name: family.name, family })))('$name holds a tool of', ({ family }) => {
  test.each([
    ['200 optional arguments', optional(200)],
    ['50 texts with limits', optional(50, { type: 'string', maxLength: 1999 })],
    ['50 long lists', optional(50, { type: 'array', items: person, maxItems: 2000 })],
    ['5,000 values', optional(1, { enum: words })],
  ])('%s', (_, parameters) => {
    const tools = [{ type: 'function', function: { name: 'f', parameters } }]
    const { gbnf } = family.holdCalls(tools, { parallel: true })
    // It throws what the engine does not take.
    expect(accepts(gbnf, '?')).toEqual([false])
    expect(gbnf.length).toBeLessThan(120_000)
  })
})
