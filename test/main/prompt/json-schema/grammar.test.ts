import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { expect, test } from 'vitest'
import type { Json, JsonObject } from '../../../../main/lib/json.ts'
import { jsonGrammar, schemaToGrammar, withLeadingSpace } from '../../../../main/prompt/json-schema/grammar.ts'
import { accepts } from '../../../helpers/grammar-engine.ts'
import { GrammarSampler } from '../../../helpers/grammar-sampler.ts'

/** A schema, texts that it must allow and texts that it must not, judged by llama.cpp's grammar engine. */
const cases: [claim: string, schema: JsonObject | boolean, allowed: string[], forbidden: string[]][] = [
  ['true allows any value', true, ['1', '"a"', '{"a": [null]}'], ['', 'x']],
  ['{} allows any value', {}, ['[]', 'true'], ['tru']],
  ['a schema of remarks allows any value', { description: 'whatever', title: 'W' }, ['{}', '3'], ['?']],
  [
    'properties come in their order and are all closed',
    { type: 'object', properties: { b: { type: 'integer' }, a: { type: 'string' } }, required: ['a', 'b'] },
    ['{"b": 1, "a": "x"}', '{"b":1,"a":""}'],
    ['{"a": "x", "b": 1}', '{"b": 1}', '{"b": 1, "a": "x", "c": 2}'],
  ],
  [
    'an optional property may be left out',
    { properties: { a: { type: 'null' }, b: { type: 'boolean' }, c: { type: 'number' } }, required: ['b'] },
    ['{"b": true}', '{"a": null, "b": false}', '{"b": true, "c": -1.5e3}', '{"a": null, "b": true, "c": 0}'],
    ['{}', '{"a": null}', '{"b": true,}', '{,"b": true}'],
  ],
  [
    'all may be left out',
    { properties: { a: { type: 'null' }, b: { type: 'null' } } },
    ['{}', '{"a":null}', '{"b":null}', '{"a":null,"b":null}'],
    ['{"b":null,"a":null}'],
  ],
  ['a required property needs no declaration', { type: 'object', required: ['a'] }, ['{"a": [1]}'], ['{}']],
  ['an object without properties is open', { type: 'object' }, ['{"x": {"y": 1}}', '{}'], ['[]']],
  ['an object of no properties is empty', { type: 'object', properties: {} }, ['{}'], ['{"a":1}']],
  [
    'additionalProperties: true',
    { properties: { foo: { type: 'integer' } }, required: ['foo'], additionalProperties: true },
    ['{"foo": 1}', '{"foo": 1, "bar": [2]}', '{"foo":1,"fo":2,"food":3,"":4}'],
    ['{"foo": 1, "foo": "twice"}'],
  ],
  ['additionalProperties as a schema', { additionalProperties: { type: 'integer' } }, ['{"a": 1, "b": 2}', '{}'], ['{"a": "x"}']],
  ['additionalProperties: false', { type: 'object', additionalProperties: false }, ['{}'], ['{"a": 1}']],
  ['keys are escaped', { properties: { 'a"\\\n]^-é🦙': { const: 1 } }, required: ['a"\\\n]^-é🦙'] }, ['{"a\\"\\\\\\n]^-é🦙": 1}'], []],
  [
    'keys of odd letters leave other keys free',
    { properties: { ']': {}, '^': {}, '-a': {} }, additionalProperties: { type: 'null' } },
    ['{"x": null}', '{"-b": null}'],
    ['{"-b": 1}'],
  ],
  ['enum of scalars', { enum: ['a', 1, null, 'q"uote'] }, ['"a"', '1', 'null', '"q\\"uote"'], ['"b"', '2']],
  ['enum keeps to the type', { type: 'string', enum: ['a', 1] }, ['"a"'], ['1']],
  ['const of an object', { const: { a: [1, 'x'] } }, ['{"a":[1,"x"]}'], ['{}']],
  ['arrays of items', { type: 'array', items: { type: 'integer' } }, ['[]', '[1]', '[1, 2, 3]'], ['[1,]', '["a"]']],
  ['arrays without items', { type: 'array' }, ['[1, "a", []]'], ['{}']],
  ['minItems and maxItems', { items: { type: 'integer' }, minItems: 2, maxItems: 3 }, ['[1,2]', '[1,2,3]'], ['[1]', '[1,2,3,4]']],
  ['maxItems 1', { items: { type: 'integer' }, maxItems: 1 }, ['[]', '[1]'], ['[1,2]']],
  ['maxItems 0', { items: { type: 'integer' }, maxItems: 0 }, ['[]'], ['[1]']],
  ['prefixItems', { prefixItems: [{ type: 'string' }, { type: 'integer' }] }, ['["a", 1]'], ['["a"]', '[1, "a"]', '["a", 1, 2]']],
  ['prefixItems and items', { prefixItems: [{ type: 'string' }], items: { type: 'integer' }, minItems: 2 }, ['["a", 1]', '["a", 1, 2]'], ['["a"]']],
  [
    'nesting',
    { properties: { a: { properties: { b: { items: { properties: { c: { const: true } }, required: ['c'] } } }, required: ['b'] } }, required: ['a'] },
    ['{"a": {"b": [{"c": true}]}}'],
    ['{"a": {"b": [{}]}}'],
  ],
  [
    '$ref to $defs',
    { properties: { p: { $ref: '#/$defs/point' } }, required: ['p'], $defs: { point: { prefixItems: [{ type: 'integer' }, { type: 'integer' }] } } },
    ['{"p": [1, 2]}'],
    ['{"p": [1]}'],
  ],
  [
    '$ref to definitions, twice',
    { items: { $ref: '#/definitions/a' }, definitions: { a: { anyOf: [{ type: 'null' }, { $ref: '#/definitions/b' }] }, b: { const: 'b' } } },
    ['[null, "b"]'],
    ['["c"]'],
  ],
  [
    '$ref that recurs',
    {
      $ref: '#/$defs/node',
      $defs: { node: { properties: { v: { type: 'integer' }, next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } }, required: ['v', 'next'] } },
    },
    ['{"v": 1, "next": {"v": 2, "next": null}}'],
    ['{"v": 1, "next": 2}'],
  ],
  [
    '$ref to the whole',
    { properties: { children: { items: { $ref: '#' } } }, required: ['children'] },
    ['{"children": [{"children": []}]}'],
    ['{"children": [1]}'],
  ],
  ['$ref with escapes in its pointer', { $ref: '#/$defs/a~1b%20c', $defs: { 'a/b c': { const: 1 } } }, ['1'], ['2']],
  ['$ref with a further constraint', { $ref: '#/$defs/a', maxLength: 1, $defs: { a: { type: 'string' } } }, ['"a"'], ['"ab"']],
  [
    'oneOf with a tag',
    {
      oneOf: [
        { type: 'object', properties: { kind: { const: 'a' }, x: { type: 'integer' } }, required: ['kind', 'x'] },
        { type: 'object', properties: { kind: { enum: ['b', 'c'] } }, required: ['kind'] },
      ],
    },
    ['{"kind": "a", "x": 1}', '{"kind": "c"}'],
    ['{"kind": "b", "x": 1}', '{"kind": "a"}'],
  ],
  [
    'oneOf by what must be there',
    {
      oneOf: [
        { type: 'object', properties: { a: { type: 'null' } }, required: ['a'] },
        { type: 'object', properties: { b: { type: 'null' } }, required: ['b'] },
      ],
    },
    ['{"a": null}', '{"b": null}'],
    ['{}', '{"a": null, "b": null}'],
  ],
  [
    'dates that there are',
    { type: 'string', format: 'date' },
    ['"2024-02-29"', '"2023-12-31"', '"2000-02-29"'],
    ['"2023-02-29"', '"1900-02-29"', '"2024-04-31"', '"2024-13-01"'],
  ],
  [
    'IPv6 addresses',
    { type: 'string', format: 'ipv6' },
    ['"::"', '"::1"', '"2001:db8::8a2e:370:7334"', '"1:2:3:4:5:6:7:8"', '"1:2:3:4:5:6:7::"'],
    ['"1:2:3"', '"1::2::3"', '":::"', '"1:2:3:4:5:6:7:8:9"', '"12345::"'],
  ],
  [
    'long texts',
    { type: 'string', minLength: 2, maxLength: 4321 },
    ['"ab"', JSON.stringify('x'.repeat(4321)), JSON.stringify('x'.repeat(3000))],
    ['"a"', JSON.stringify('x'.repeat(4322))],
  ],
  ['durations', { type: 'string', format: 'duration' }, ['"P3Y6M4DT12H30M5S"', '"P4W"', '"PT5M"'], ['"P"', '"PT"', '"P1H"', '"P1D2Y"']],
  [
    'addresses of pages',
    { type: 'string', format: 'uri', minLength: 1, maxLength: 2083 },
    ['"https://example.org/a/b?c=d#e"', '"mailto:a@b.c"', '"urn:isbn:123"'],
    ['"example.org"', '"http://a b"', '"https://a/%zz"'],
  ],
  ['anyOf and oneOf', { anyOf: [{ type: 'integer' }, { oneOf: [{ const: 'a' }, { const: 'b' }] }] }, ['1', '"a"', '"b"'], ['"c"']],
  [
    'anyOf beside properties',
    { type: 'object', properties: { a: { const: 1 }, b: { const: 2 } }, anyOf: [{ required: ['a'] }, { required: ['b'] }] },
    ['{"a": 1}', '{"b": 2}', '{"a": 1, "b": 2}'],
    ['{}'],
  ],
  ['type lists', { type: ['string', 'null'], maxLength: 2 }, ['"ab"', 'null'], ['"abc"', '1']],
  ['nullable', { type: 'integer', nullable: true }, ['1', 'null'], ['"a"']],
  [
    'allOf joins objects',
    {
      allOf: [{ properties: { a: { type: 'integer' } }, required: ['a'] }, { $ref: '#/$defs/b' }],
      $defs: { b: { properties: { b: { type: 'string' } }, required: ['b'] } },
    },
    ['{"a": 1, "b": "x"}'],
    ['{"a": 1}', '{"b": "x"}'],
  ],
  ['allOf joins enums', { allOf: [{ enum: ['a', 'b'] }, { enum: ['b', 'c'] }] }, ['"b"'], ['"a"', '"c"']],
  [
    'allOf joins bounds',
    {
      allOf: [
        { type: 'integer', minimum: 3 },
        { maximum: 5, minimum: 4 },
      ],
    },
    ['4', '5'],
    ['3', '6'],
  ],
  ['minLength and maxLength', { type: 'string', minLength: 2, maxLength: 4 }, ['"ab"', '"a\\n\\u00e9🦙"'], ['"a"', '"abcde"']],
  ['a pattern with anchors', { type: 'string', pattern: '^[A-Z]{2}-\\d+(foo|bar)?$' }, ['"AB-1"', '"AB-12foo"'], ['"ab-1"', '"AB-1baz"', '"xAB-1"']],
  ['a pattern without anchors', { pattern: 'b+' }, ['"abbc"', '"b"'], ['"ac"']],
  ['a pattern of alternatives with their own anchors', { pattern: '^a|z$' }, ['"abc"', '"xyz"'], ['"bcd"']],
  ['a pattern with quotes and escapes', { pattern: '^(?:"\\.\\/\\w[^x]\\u0041)$' }, ['"\\"./_yA"'], ['"\\"./_xA"']],
  ['a pattern with lengths', { pattern: '^[a-z][a-z0-9_]*$', minLength: 2, maxLength: 4 }, ['"ab"', '"a_12"'], ['"a"', '"abcde"', '"1a"']],
  ['a pattern without anchors, with lengths', { pattern: '^ab', maxLength: 3 }, ['"ab"', '"abc"'], ['"a"', '"abcd"']],
  ['a pattern that is of the length anyway', { pattern: '^(?:cat|mouse){1,2}$', minLength: 3, maxLength: 10 }, ['"cat"', '"mousecat"'], ['"dog"']],
  ['multiples of 5', { type: 'integer', multipleOf: 5 }, ['0', '5', '-10', '12345'], ['1', '-12', '05', '-0']],
  ['multiples of 7 above 0', { type: 'integer', multipleOf: 7, exclusiveMinimum: 0 }, ['7', '14', '700'], ['0', '-7', '15', '70a']],
  ['multiples of 3 in a range', { type: 'integer', multipleOf: 3, minimum: -4, exclusiveMaximum: 9 }, ['-3', '0', '6'], ['-6', '9', '4']],
  ['multiples of 100', { type: 'integer', multipleOf: 100, minimum: 150, maximum: 1_000_000 }, ['200', '1000000'], ['100', '0', '250', '1000100']],
  ['multiples of 0.5 in a range', { type: 'number', multipleOf: 0.5, minimum: 0, maximum: 1 }, ['0', '0.5', '1.0'], ['0.25', '1.5']],
  ['multiples of 0.01', { type: 'number', multipleOf: 0.01 }, ['1', '-1.5', '0.25'], ['0.125']],
  [
    'listed items, each once',
    { items: { enum: ['a', 'b', 'c'] }, uniqueItems: true, minItems: 1 },
    ['["a"]', '["c","a"]', '["b","c","a"]'],
    ['[]', '["a","a"]', '["d"]'],
  ],
  [
    'patternProperties',
    { patternProperties: { '^x-': { type: 'integer' } }, properties: { a: { const: 1 } } },
    ['{}', '{"a":1,"x-b":2}', '{"x-":0}'],
    ['{"y":1}', '{"x-b":"2"}'],
  ],
  [
    'propertyNames by a pattern',
    { additionalProperties: { type: 'null' }, propertyNames: { pattern: '^[a-z]+$' } },
    ['{"ab":null}', '{}'],
    ['{"A":null}', '{"a":1}'],
  ],
  ['propertyNames by a list', { type: 'object', propertyNames: { enum: ['a', 'b'] } }, ['{"a":1,"b":[]}'], ['{"c":1}']],
  [
    'dependentRequired',
    { properties: { a: { const: 1 }, b: { const: 2 }, c: { const: 3 } }, dependentRequired: { a: ['b'] } },
    ['{}', '{"b":2}', '{"a":1,"b":2}', '{"b":2,"c":3}', '{"c":3}'],
    ['{"a":1}', '{"a":1,"c":3}'],
  ],
  [
    'dependentRequired of two on each other',
    { properties: { a: { const: 1 }, b: { const: 2 } }, dependentRequired: { a: ['b'], b: ['a'] } },
    ['{}', '{"a":1,"b":2}'],
    ['{"a":1}', '{"b":2}'],
  ],
  [
    'if, then and else over a listed property',
    {
      properties: { kind: { enum: ['card', 'cash'] }, number: { type: 'integer' } },
      required: ['kind'],
      if: { properties: { kind: { const: 'card' } } },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: { required: ['number'] },
      else: { properties: { number: { const: 0 } } },
    },
    ['{"kind":"card","number":12}', '{"kind":"cash"}', '{"kind":"cash","number":0}'],
    ['{"kind":"card"}', '{"kind":"cash","number":1}', '{}'],
  ],
  [
    'a condition on a property that need not be there',
    { properties: { a: { type: 'boolean' }, b: { const: 1 } }, if: { properties: { a: { const: true } } }, else: { required: ['b'] } },
    ['{}', '{"a":true}', '{"a":false,"b":1}'],
    ['{"a":false}'],
  ],
  [
    'a condition that asks for its property',
    { properties: { a: { type: 'boolean' }, b: { const: 1 } }, if: { properties: { a: { const: true } }, required: ['a'] }, else: { required: ['b'] } },
    ['{"b":1}', '{"a":true}'],
    ['{}', '{"a":false}'],
  ],
  ['a property that must not be there', { properties: { a: false, b: { const: 1 } }, additionalProperties: { const: 2 } }, ['{"b":1,"c":2}'], ['{"a":2}']],
  ['format date', { type: 'string', format: 'date' }, ['"2024-02-29"'], ['"2024-13-01"', '"today"']],
  ['format time', { format: 'time' }, ['"23:59:59Z"', '"01:02:03.5+02:00"'], ['"24:00:00Z"']],
  ['format date-time', { format: 'date-time' }, ['"2024-02-29T01:02:03Z"'], ['"2024-02-29"']],
  ['format uuid', { format: 'uuid' }, ['"123e4567-e89b-12d3-a456-426614174000"'], ['"123"']],
  ['format email', { format: 'email' }, ['"a.b@c.example"'], ['"a@b"', '"a"']],
  ['format ipv4', { format: 'ipv4' }, ['"127.0.0.1"', '"255.255.255.255"'], ['"256.1.1.1"']],
  ['a format that nobody knows is a remark', { type: 'string', format: 'colour' }, ['"red"'], ['1']],
  ["a validator's look-ahead gives way to its format", { type: 'string', format: 'email', pattern: '^(?!\\.)[a-z.]+@[a-z.]+$' }, ['"a@b.c"'], ['"a"']],
  ['integers have no fraction', { type: 'integer' }, ['0', '-12'], ['1.5', '01']],
  ['exclusive bounds', { type: 'integer', exclusiveMinimum: 0, exclusiveMaximum: 3 }, ['1', '2'], ['0', '3', '-1']],
  ['fractional bounds of an integer', { type: 'integer', minimum: 0.5, maximum: 2.5 }, ['1', '2'], ['0', '3']],
  ['numbers from 0 to 1', { type: 'number', minimum: 0, maximum: 1 }, ['0', '0.25', '1', '1.0', '0.999'], ['1.1', '-0.1', '2']],
  ['numbers above 0', { type: 'number', exclusiveMinimum: 0 }, ['0.001', '1', '12.5'], ['0', '0.0', '-1']],
  ['numbers below 10 and from -2', { type: 'number', minimum: -2, exclusiveMaximum: 10 }, ['-2', '-1.5', '-0.5', '0', '9.99'], ['-2.1', '10', '-3']],
  [
    'white space is bounded',
    { properties: { a: { const: 1 } }, required: ['a'] },
    ['{"a": 1}', '{\n  "a": 1\n}', '{ "a":\n\n1 }'],
    ['{\n\n\n"a": 1}', '{  "a": 1}'],
  ],
]

test.each(cases)('schemaToGrammar(): %s', (_, schema, allowed, forbidden) => {
  const grammar = schemaToGrammar(schema)
  expect({ allowed: accepts(grammar, ...allowed), forbidden: accepts(grammar, ...forbidden) }).toEqual({
    allowed: allowed.map(() => true),
    forbidden: forbidden.map(() => false),
  })
})

// Without a tolerance the validator finds 0.07 to be no multiple of 0.01.
const ajv = new Ajv2020({ strict: false, multipleOfPrecision: 9, formats: { colour: true } })
addFormats.default(ajv)

test.each(cases)('schemaToGrammar(): %s, and all else that it allows is valid', (_, schema) => {
  // OpenAPI's word, which the validator does not know; an expression that looks ahead is not held but for its format.
  if (/nullable|\(\?!/.test(JSON.stringify(schema))) return
  const grammar = schemaToGrammar(schema)
  const sampler = new GrammarSampler(grammar)
  const texts = Array.from({ length: 40 }, (_, seed) => sampler.draw(seed))
  expect(accepts(grammar, ...texts).indexOf(false)).toBe(-1)
  const validate = ajv.compile(schema)
  for (const text of texts) expect(validate(JSON.parse(text)), `${text} ${ajv.errorsText(validate.errors)}`).toBe(true)
})

test('schemaToGrammar() bounds integers exactly', () => {
  const ranges: [number, number][] = [
    [0, 0],
    [-1, 1],
    [-120, -7],
    [5, 5],
    [3, 47],
    [99, 101],
    [-15, 230],
    [190, 210],
  ]
  for (const [minimum, maximum] of ranges) {
    const numbers = Array.from({ length: 500 }, (_, at) => at - 250)
    const allowed = accepts(schemaToGrammar({ type: 'integer', minimum, maximum }), ...numbers.map(String))
    expect(numbers.filter((_, at) => allowed[at])).toEqual(numbers.filter((number) => number >= minimum && number <= maximum))
  }
})

test('schemaToGrammar() counts long texts to the character', () => {
  const texts = [4298, 4299, 4300, 4321, 4322].map((length) => JSON.stringify('x'.repeat(length)))
  expect(accepts(schemaToGrammar({ type: 'string', minLength: 4299, maxLength: 4321 }), ...texts)).toEqual([false, true, true, true, false])
})

test('schemaToGrammar() bounds decimal numbers by their digits', () => {
  const ends = [null, -273.15, -2.5, -1, -0.05, 0, 0.05, 0.1, 0.5, 0.75, 1, 1.25, 2, 12.5]
  const numbers = [-300, -273.16, -273.15, -273.1, -273, -3, -2.51, -2.5, -2.4999, -1.5, -1, -0.9, -0.06, -0.05, -0.049, -0.001]
  numbers.push(
    0,
    0.001,
    0.049,
    0.05,
    0.051,
    0.0999,
    0.1,
    0.11,
    0.49,
    0.5,
    0.51,
    0.7,
    0.75,
    0.751,
    0.99,
    1,
    1.01,
    1.2,
    1.25,
    1.26,
    1.9,
    2,
    2.01,
    12,
    12.49,
    12.5,
    12.51,
    99.9,
  )
  for (const low of ends) {
    for (const high of ends) {
      for (const [least, most] of [
        ['minimum', 'maximum'],
        ['exclusiveMinimum', 'exclusiveMaximum'],
        ['minimum', 'exclusiveMaximum'],
      ] as const) {
        const left = [least.startsWith('ex'), most.startsWith('ex')]
        if ((low === null && high === null) || (low !== null && high !== null && (low > high || (low === high && left.includes(true))))) continue
        const schema = { type: 'number', ...(low !== null && { [least]: low }), ...(high !== null && { [most]: high }) }
        const allowed = accepts(schemaToGrammar(schema), ...numbers.map(String))
        const within = (number: number) =>
          (low === null || (left[0] ? number > low : number >= low)) && (high === null || (left[1] ? number < high : number <= high))
        expect(
          numbers.filter((_, at) => allowed[at]),
          JSON.stringify(schema),
        ).toEqual(numbers.filter(within))
      }
    }
  }
  expect(accepts(schemaToGrammar({ type: 'number', minimum: 1e-7, maximum: 0.5 }), '0.0000001', '0.00000009', '0.50', '0.500', '0')).toEqual([
    true,
    false,
    true,
    true,
    false,
  ])
})

test('schemaToGrammar() bounds integers on one side', () => {
  expect(accepts(schemaToGrammar({ type: 'integer', minimum: 18 }), '17', '18', '99', '100', '123456789', '-18')).toEqual([
    false,
    true,
    true,
    true,
    true,
    false,
  ])
  expect(accepts(schemaToGrammar({ type: 'integer', maximum: 18 }), '19', '18', '0', '-1', '-123456', '100')).toEqual([false, true, true, true, true, false])
})

test.each<[Json, string]>([
  [{ type: 'banana' }, 'invalid JSON schema at #: keyword "type": unrecognized type "banana"'],
  [{ properties: { a: { not: {} } } }, 'invalid JSON schema at #/properties/a: keyword "not" is not supported'],
  [{ patternProperties: { '^x': {}, '^y': {} } }, 'invalid JSON schema at #: keyword "patternProperties" can be honoured with one pattern only'],
  [
    { properties: { xa: {} }, patternProperties: { '^x': {} } },
    'invalid JSON schema at #: keyword "patternProperties" cannot be told apart from the property "xa"',
  ],
  [
    { properties: { a: {} }, propertyNames: { pattern: '^a' } },
    'invalid JSON schema at #: keyword "propertyNames" can be honoured only where no property is declared',
  ],
  [{ dependentRequired: { a: 1 } }, expect.stringContaining('keyword "dependentRequired" cannot be honoured') as string],
  [{ type: 'integer', multipleOf: 7, minimum: 10 }, 'invalid JSON schema at #: keyword "multipleOf" cannot be honoured with these limits'],
  [{ type: 'integer', multipleOf: 0 }, 'invalid JSON schema at #: keyword "multipleOf" cannot be honoured with these limits'],
  [{ pattern: '^a*b*$', maxLength: 3 }, 'invalid JSON schema at #: keyword "maxLength" cannot be held together with this "pattern"'],
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  [{ items: { if: {}, then: {} } }, expect.stringContaining('invalid JSON schema at #/items: keyword "if" cannot be honoured') as string],
  [{ type: 'array', uniqueItems: true }, 'invalid JSON schema at #: keyword "uniqueItems" can be honoured for items of up to 7 listed values only'],
  [{ $ref: 'https://example.com/x' }, 'invalid JSON schema at #: keyword "$ref" may only refer to this schema, not to "https://example.com/x"'],
  [{ $ref: { toString: 1 } }, 'invalid JSON schema at #: keyword "$ref" must be a string'],
  [{ allOf: [{ $ref: 1 }, { type: 'string' }] }, 'invalid JSON schema at #: keyword "$ref" must be a string'],
  [{ type: 'string', pattern: { toString: 1 } }, 'invalid JSON schema at #: keyword "pattern" must be a string'],
  [{ $ref: '#/$defs/x' }, 'invalid JSON schema at #: keyword "$ref" refers to "#/$defs/x", which is not there'],
  [{ $ref: '#/$defs/x', $defs: { x: { $ref: '#/$defs/x' } } }, 'invalid JSON schema at #/$defs/x: keyword "$ref" goes in a circle at #/$defs/x'],
  [{ allOf: [{ $ref: '#' }] }, 'invalid JSON schema at #: it is nested deeper than 64 levels'],
  [{ anyOf: [{ $ref: '#' }, { type: 'null' }] }, 'invalid JSON schema: keyword "$ref" leads back to itself without anything in between'],
  [{ constructor: 1 }, 'invalid JSON schema at #: keyword "constructor" is not supported'],
  [{ $ref: '#/%zz' }, 'invalid JSON schema at #: keyword "$ref" refers to "#/%zz", which is not there'],
  [{ pattern: '(?=a)' }, 'invalid JSON schema at #: keyword "pattern" cannot be honoured: it looks around'],
  [{ pattern: '(a' }, 'invalid JSON schema at #: keyword "pattern" cannot be honoured: unbalanced parentheses'],
  [{ type: 'string', maxLength: 1_000_000 }, 'invalid JSON schema at #: keyword "maxLength" may be 100000 at most'],
  [{ properties: { a: 5 } }, 'invalid JSON schema at #/properties/a: it must be an object or a boolean'],
  [{ allOf: [{ type: 'string' }, { type: 'integer' }] }, 'invalid JSON schema at #: keyword "type" stands twice in ways that cannot be joined'],
  [
    { oneOf: [{ type: 'integer' }, { type: 'number' }] },
    'invalid JSON schema at #: keyword "oneOf": a value may be of choice 0 and of choice 1 at once; use "anyOf", or tell them apart by a property',
  ],
  [
    { oneOf: [{ properties: { a: { type: 'null' } } }, { properties: { a: { type: 'null' }, b: { type: 'null' } }, required: ['b'] }] },
    'invalid JSON schema at #: keyword "oneOf": a value may be of choice 0 and of choice 1 at once; use "anyOf", or tell them apart by a property',
  ],
  [{ type: 'string', minLength: 5, maxLength: 4 }, 'invalid JSON schema at #: keyword "minLength" is above "maxLength"'],
  [{ type: 'string', format: 'email', maxLength: 20 }, 'invalid JSON schema at #: keyword "maxLength" cannot be held together with the format "email"'],
  [{ type: 'integer', minimum: 5, maximum: 4 }, 'invalid JSON schema at #: keyword "minimum" is above "maximum"'],
  [nested(70), expect.stringContaining('nested deeper than 64 levels') as string],
  [{ enum: Array.from({ length: 20 }, (_, at) => String.fromCharCode(97 + at).repeat(20_000)) }, expect.stringContaining('larger than 256 kB') as string],
])('schemaToGrammar() refuses what it cannot honour: %j', (schema, message) => {
  expect(() => schemaToGrammar(schema as JsonObject)).toThrow(expect.objectContaining({ code: 'invalid-request', message }))
})

test('schemaToGrammar() refuses a small schema whose grammar would explode', () => {
  const $defs: JsonObject = { x0: { type: 'string' } }
  for (let at = 1; at < 40; at++) $defs[`x${at}`] = { maxLength: at, anyOf: [{ $ref: `#/$defs/x${at - 1}` }, { $ref: `#/$defs/x${at - 1}`, minLength: at }] }
  expect(() => schemaToGrammar({ $ref: '#/$defs/x39', $defs })).toThrow(expect.objectContaining({ code: 'invalid-request' }))
})

test('schemaToGrammar() refuses a value that is nested as deep as no text can be written', () => {
  let value: Json = 0
  for (let depth = 0; depth < 200_000; depth++) value = [value]
  expect(() => schemaToGrammar({ const: value })).toThrow(
    expect.objectContaining({ code: 'invalid-request', message: 'invalid JSON schema: it is nested too deeply' }),
  )
})

test('schemaToGrammar() takes properties by the names of built-in ones', () => {
  const schema = JSON.parse(
    '{"properties": {"__proto__": {"type": "null"}, "constructor": {"const": 1}}, "required": ["__proto__"], "allOf": [{"properties": {"toString": {"const": 2}}}]}',
  )
  expect(accepts(schemaToGrammar(schema), '{"__proto__": null, "constructor": 1, "toString": 2}', '{"constructor": 1}')).toEqual([true, false])
})

test('jsonGrammar takes any object and nothing else', () => {
  expect(accepts(jsonGrammar, '{}', '{"a": [1, {"b": null}]}', '[]', '"a"')).toEqual([true, true, false, false])
})

test('withLeadingSpace() lets white space pass before the value', () => {
  expect(accepts(withLeadingSpace(schemaToGrammar({ const: 1 })), '1', '\n\n1', '\n\n\n1')).toEqual([true, true, false])
})

function nested(depth: number): Json {
  return depth === 0 ? {} : { items: nested(depth - 1) }
}
