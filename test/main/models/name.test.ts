import path from 'node:path'
import { expect, test } from 'vitest'
import { displayName, fullName, isName, manifestPath, nameKey, nameOfParts, parseName, parseReference, pathParts } from '../../../main/models/name.ts'
import { random } from '../../helpers/random-weights.ts'

test.each([
  ['llama3.2', 'registry.ollama.ai/library/llama3.2:latest', 'llama3.2:latest'],
  ['llama3.2:1b', 'registry.ollama.ai/library/llama3.2:1b', 'llama3.2:1b'],
  ['user/x:7b', 'registry.ollama.ai/user/x:7b', 'user/x:7b'],
  ['hf.co/a/b:Q4_K_M', 'hf.co/a/b:Q4_K_M', 'hf.co/a/b:Q4_K_M'],
  ['registry.ollama.ai/library/x', 'registry.ollama.ai/library/x:latest', 'x:latest'],
  ['registry.ollama.ai/user/x', 'registry.ollama.ai/user/x:latest', 'user/x:latest'],
  ['localhost:5000/library/x', 'localhost:5000/library/x:latest', 'localhost:5000/library/x:latest'],
  ['https://hf.co/a/b', 'hf.co/a/b:latest', 'hf.co/a/b:latest'],
  ['http://localhost:5000/a/b:c', 'localhost:5000/a/b:c', 'localhost:5000/a/b:c'],
  ['  spaced  ', 'registry.ollama.ai/library/spaced:latest', 'spaced:latest'],
  ['_x:_y', 'registry.ollama.ai/library/_x:_y', '_x:_y'],
  ['Case:Q8_0', 'registry.ollama.ai/library/Case:Q8_0', 'Case:Q8_0'],
])('parseName() reads %j as %s, shown as %s', (text, full, shown) => {
  const name = parseName(text)
  expect([name && fullName(name), name && displayName(name)]).toEqual([full, shown])
})

test.each([
  '',
  ' ',
  ':',
  '/',
  'm:',
  ':t',
  '/n/m',
  'n/',
  'h//m',
  'h/n/',
  'a/b/c/d',
  'a/b/c/d/e',
  'a:b:c',
  'n:1/m',
  '-x',
  '.x',
  'x:-t',
  'x:.',
  '..',
  '../x',
  'x/..',
  'x:..',
  'n.s/m',
  'a b',
  'x@sha256:abc',
  'x\0',
  'x\ny',
  'x\\y',
  'C:\\x',
  'ünder',
  'x:🦙',
  '~/x',
  'ftp://h/n/m',
  `${'a'.repeat(351)}/n/m`,
  `${'n'.repeat(81)}/m`,
  'm'.repeat(81),
  `m:${'t'.repeat(81)}`,
])('parseName() refuses %j', (text) => {
  expect(parseName(text)).toBeNull()
})

test('parseName() takes parts up to their full length', () => {
  expect(parseName(`${'h'.repeat(350)}/${'n'.repeat(80)}/${'m'.repeat(80)}:${'t'.repeat(80)}`)).not.toBeNull()
})

test('displayName() and parseName() are each other’s inverse', () => {
  for (const text of ['x', 'x:y', 'n/x', 'h.io:1/n/x:y', 'registry.ollama.ai/n/x', 'hf.co/library/x']) {
    const name = parseName(text)
    expect(parseName(displayName(name!))).toEqual(name)
  }
})

test('names that differ only in case have one key', () => {
  expect(nameKey(parseName('LLAMA3.2:Q4')!)).toBe(nameKey(parseName('llama3.2:q4')!))
})

test.each([
  ['x', 'x:latest', null],
  ['x:cloud', 'x:cloud', 'cloud'],
  ['x:20b:cloud', 'x:20b-cloud', 'cloud'],
  ['x:20b-cloud', 'x:20b-cloud', 'cloud'],
  ['x:20b-cloud:cloud', 'x:20b-cloud', 'cloud'],
  ['x-cloud', 'x-cloud:latest', null],
  ['x:local', 'x:latest', 'local'],
  ['x:20b:local', 'x:20b', 'local'],
])('parseReference() reads %s as %s from %s', (text, shown, source) => {
  const reference = parseReference(text)
  expect([reference && displayName(reference.name), reference?.source]).toEqual([shown, source])
})

test('parseReference() refuses both suffixes at once, and what is not a name', () => {
  expect(() => parseReference('x:local:cloud')).toThrow('use either :local or :cloud, not both: "x:local:cloud"')
  expect(() => parseReference('x:1b-cloud:local')).toThrow('use either :local or :cloud, not both')
  expect(parseReference('a:b:c')).toBeNull()
})

test('no text becomes a path outside the store, however it is made', () => {
  const root = path.resolve('/store/manifests')
  const pieces = [
    '..',
    '.',
    '/',
    '//',
    '\\',
    ':',
    '%2e%2e',
    '%2f',
    '~',
    '\0',
    '\n',
    ' ',
    'a',
    'CON',
    'sha256-',
    '-',
    '_',
    '…',
    '‮',
    'http://',
    'C:',
    '\uff0e\uff0e',
    '.paddock',
    '*',
    '$HOME',
  ]
  const next = random(11)
  let names = 0
  for (let i = 0; i < 20_000; i++) {
    const text = Array.from({ length: 1 + Math.floor(next() * 7) }, () => pieces[Math.floor(next() * pieces.length)]).join('')
    const name = parseName(text)
    if (name === null) continue
    names++
    const parts = path.relative(root, manifestPath(root, name, 'linux')).split(path.sep)
    expect(parts, text).toHaveLength(4)
    expect(
      parts.some((part) => part === '..' || part.startsWith('.') || part === ''),
      text,
    ).toBe(false)
  }
  expect(names).toBeGreaterThan(100)
})

test('manifestPath() refuses a name that was put together past the parser', () => {
  expect(() => manifestPath('/store', { host: '..', namespace: '..', model: 'etc', tag: 'passwd' })).toThrow('invalid model name')
})

test.each(['con', 'x:NUL', 'aux/x', 'com1.txt', 'x:v1.'])('manifestPath() refuses %s on Windows, which reserves such names', (text) => {
  const name = parseName(text)!
  expect(() => manifestPath('C:/store', name, 'win32')).toThrow('invalid model name: Windows does not allow')
  expect(() => manifestPath('/store', name, 'linux')).not.toThrow()
})

test('a host with a port is one folder on Windows too, and reads back', () => {
  const name = parseName('localhost:5000/n/m:t')!
  const parts = pathParts(name, 'win32')
  expect(parts[0]).toBe('localhost%3A5000')
  expect(nameOfParts(...parts)).toEqual(name)
})

test('isName() checks parts that did not come from the parser', () => {
  expect(isName({ host: 'h', namespace: 'n', model: 'm', tag: '../t' })).toBe(false)
})
