import { expect, test } from 'vitest'
import { ReplyWriter } from '../../../main/cli/reply-writer.ts'
import { FakeOutput } from './fake-terminal.ts'

function written(columns: number | undefined, hideThinking: boolean, write: (writer: ReplyWriter) => void): string {
  const output = new FakeOutput(columns)
  const writer = new ReplyWriter(output, { wordWrap: true, hideThinking })
  write(writer)
  writer.end()
  return output.text
}

function thinkAndSay(writer: ReplyWriter): void {
  writer.thinking('\nTwo and ')
  writer.thinking('two.\n')
  writer.text('\n\n')
  writer.text('Four.')
}

test('thinking stands between two lines, blank lines of the model aside', () => {
  expect(written(undefined, false, thinkAndSay)).toBe('Thinking...\nTwo and two.\n...done thinking.\n\nFour.')
})

test('thinking is dimmed on a terminal, and only it', () => {
  expect(written(80, false, thinkAndSay)).toBe('\x1b[2m\x1b[1mThinking...\x1b[0m\x1b[2m\nTwo and two.\n\x1b[0m\x1b[2m\x1b[1m...done thinking.\x1b[0m\n\nFour.')
})

test('hidden thinking leaves the reply alone', () => {
  expect(written(80, true, thinkAndSay)).toBe('Four.')
})

test('thinking that is stopped is closed', () => {
  expect(written(undefined, false, (writer) => writer.thinking('Let me'))).toBe('Thinking...\nLet me\n...done thinking.\n\n')
})

test('words are wrapped on a terminal and left alone in a pipe', () => {
  const say = (writer: ReplyWriter) => writer.text('one two three')
  expect(written(10, false, say)).toContain('\n')
  expect(written(undefined, false, say)).toBe('one two three')
})

test('a model cannot give orders to a terminal, in whatever pieces', () => {
  const say = (writer: ReplyWriter) => {
    for (const piece of ['a\x1b', ']0;title\x07', '\x1b[2J', '\x9b1A', 'b\r', '\n\tc']) writer.text(piece)
  }
  expect(written(80, false, say)).toBe('a]0;title[2J1Ab\n\tc')
  expect(written(undefined, false, say)).toBe('a\x1b]0;title\x07\x1b[2J\x9b1Ab\r\n\tc')
})
