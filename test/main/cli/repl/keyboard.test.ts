import { expect, test } from 'vitest'
import { History } from '../../../../main/cli/repl/history.ts'
import { KeyboardLines } from '../../../../main/cli/repl/keyboard.ts'
import { FakeOutput, fakeInput } from '../fake-terminal.ts'

function keyboard() {
  const input = fakeInput()
  const output = new FakeOutput(80)
  const history = new History(null)
  const lines = new KeyboardLines({ input, output, history, editor: '' })
  return { input, output, lines, [Symbol.asyncDispose]: () => lines[Symbol.asyncDispose]() }
}

test('a typed line is given', async () => {
  await using fixture = keyboard()
  const reading = fixture.lines.read('>>> ', 'Send a message')
  fixture.input.write('hello\r')
  expect(await reading).toEqual({ type: 'line', text: 'hello' })
})

test('the placeholder goes with the first key', async () => {
  await using fixture = keyboard()
  const reading = fixture.lines.read('>>> ', 'Send a message')
  expect(fixture.output.text).toContain('Send a message')
  fixture.input.write('h')
  await expect.poll(() => fixture.output.text.endsWith('\x1b[14D\x1b[Kh')).toBe(true)
  fixture.input.write('\r')
  await reading
})

test('a paste of several lines is one message', async () => {
  await using fixture = keyboard()
  const reading = fixture.lines.read('>>> ')
  fixture.input.write('\x1b[200~one\rtwo\rthree\x1b[201~')
  fixture.input.write('!\r')
  expect(await reading).toEqual({ type: 'line', text: 'one\ntwo\nthree!' })
})

test('Ctrl+C drops what was typed', async () => {
  await using fixture = keyboard()
  const reading = fixture.lines.read('>>> ')
  fixture.input.write('half a thought\x03')
  expect(await reading).toEqual({ type: 'interrupt' })
  const next = fixture.lines.read('>>> ')
  fixture.input.write('whole\r')
  expect(await next).toEqual({ type: 'line', text: 'whole' })
})

test('Ctrl+C where nothing was typed says how to leave', async () => {
  await using fixture = keyboard()
  const reading = fixture.lines.read('>>> ')
  fixture.input.write('\x03')
  expect(await reading).toEqual({ type: 'interrupt' })
  expect(fixture.output.text).toContain('Use Ctrl + d or /bye to exit.')
})

test('Ctrl+C during a reply stops the reply and nothing else', async () => {
  await using fixture = keyboard()
  const stopped = Promise.withResolvers<void>()
  using _listening = fixture.lines.onInterrupt(stopped.resolve)
  fixture.input.write('\x03')
  await stopped.promise
  expect(fixture.output.text).not.toContain('/bye')
})

test('Ctrl+D ends', async () => {
  await using fixture = keyboard()
  const reading = fixture.lines.read('>>> ')
  fixture.input.write('\x04')
  expect(await reading).toEqual({ type: 'end' })
  expect(await fixture.lines.read('>>> ')).toEqual({ type: 'end' })
})

test('the end of the input ends', async () => {
  await using fixture = keyboard()
  const reading = fixture.lines.read('>>> ')
  fixture.input.end()
  expect(await reading).toEqual({ type: 'end' })
})

test('what is typed during a reply does not mix with it, and is the next line', async () => {
  await using fixture = keyboard()
  const first = fixture.lines.read('>>> ')
  fixture.input.write('one\r')
  await first
  const before = fixture.output.text
  fixture.input.write('two\r')
  await new Promise((resolve) => setImmediate(resolve))
  expect(fixture.output.text).toBe(before)
  expect(await fixture.lines.read('>>> ')).toEqual({ type: 'line', text: 'two' })
  expect(fixture.output.text).toBe(`${before}>>> two\n`)
})

test('the arrow brings back the line before', async () => {
  await using fixture = keyboard()
  const first = fixture.lines.read('>>> ')
  fixture.input.write('again\r')
  await first
  const second = fixture.lines.read('>>> ')
  fixture.input.write('\x1b[A\r')
  expect(await second).toEqual({ type: 'line', text: 'again' })
})
