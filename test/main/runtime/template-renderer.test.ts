import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { type ChildHandle, forkSpawner, type Spawn } from '../../../main/runtime/process.ts'
import { TemplateRenderer } from '../../../main/runtime/template-renderer.ts'

const entry = fileURLToPath(new URL('../../../main/runtime/template-process/main.ts', import.meta.url))
const children: ChildHandle[] = []
const spawn: Spawn = (file, options) => {
  const child = forkSpawner()(file, options)
  children.push(child)
  return child
}
const shared = new TemplateRenderer({ spawn, entry })
const never = new AbortController().signal
afterAll(() => shared[Symbol.asyncDispose]())

test('render() gives the text of a template', async () => {
  await expect(
    shared.render('{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}', { messages: [{ role: 'user', content: 'hi <b>' }] }, never),
  ).resolves.toBe('[user]hi <b>')
})

test('render() keeps the order of keys and the numbers that the engine cannot count', async () => {
  await expect(shared.render('{{ tool | tojson }}', { tool: { b: 1e21, a: [1.5] } }, never)).resolves.toBe('{"b": "1e+21", "a": [1.5]}')
})

test("render() says what a template refuses, in the template's own words", async () => {
  await expect(shared.render('{{ raise_exception("no system role") }}', {}, never)).rejects.toMatchObject({
    code: 'invalid-template',
    message: 'the chat template refuses this conversation: no system role',
  })
})

test('render() names the line of a mistake', async () => {
  await expect(shared.render('a\n{{ x | nothing }}', {}, never)).rejects.toMatchObject({
    code: 'invalid-template',
    message: expect.stringContaining('in line 2'),
  })
})

test('render() refuses a template of more than a megabyte', async () => {
  await expect(shared.render('a'.repeat(1_100_000), {}, never)).rejects.toMatchObject({
    code: 'invalid-template',
    message: expect.stringContaining('larger than'),
  })
})

test('a template that crashes the engine is an error for its caller alone', async () => {
  await using renderer = new TemplateRenderer({ spawn, entry, timeoutMs: 20_000 })
  const deep = `${'('.repeat(100_000)}1${')'.repeat(100_000)}`
  const crash = renderer.render(`{{ ${deep} }}`, {}, never)
  const next = renderer.render('still {{ x }}', { x: 'here' }, never)
  await expect(crash).rejects.toMatchObject({ code: 'invalid-template', message: 'the chat template crashed the template engine' })
  await expect(next).resolves.toBe('still here')
})

test('a template that hangs is stopped, and the next call works', async () => {
  await using renderer = new TemplateRenderer({ spawn, entry, timeoutMs: 1000 })
  const hang = '{% for a in range(100000) %}{% for b in range(100000) %}{{ b }}{% endfor %}{% endfor %}'
  await expect(renderer.render(hang, {}, never)).rejects.toMatchObject({ code: 'invalid-template', message: expect.stringContaining('did not finish') })
  await expect(renderer.render('ok', {}, never)).resolves.toBe('ok')
})

test('a child that died while idle is replaced', async () => {
  await using renderer = new TemplateRenderer({ spawn, entry })
  await renderer.render('one', {}, never)
  const child = children.at(-1) as ChildHandle
  const gone = new Promise((resolve) => child.onExit(resolve))
  child.kill()
  await gone
  await expect(renderer.render('two', {}, never)).resolves.toBe('two')
})

test('an aborted render leaves the ones behind it', async () => {
  const controller = new AbortController()
  const aborted = shared.render('a', {}, controller.signal)
  const other = shared.render('b', {}, never)
  controller.abort()
  await expect(aborted).rejects.toThrow('abort')
  await expect(other).resolves.toBe('b')
})

test('an engine that does not start says why', async () => {
  await using renderer = new TemplateRenderer({ spawn, entry: fileURLToPath(new URL('nothing-here.ts', import.meta.url)) })
  await expect(renderer.render('a', {}, never)).rejects.toMatchObject({ code: 'load-failed', message: expect.stringContaining('Cannot find module') })
})

test('after disposal nothing renders', async () => {
  const renderer = new TemplateRenderer({ spawn, entry })
  const waiting = renderer.render('a', {}, never)
  await Promise.all([expect(waiting).rejects.toMatchObject({ code: 'unavailable' }), renderer[Symbol.asyncDispose]()])
  await expect(renderer.render('a', {}, never)).rejects.toMatchObject({ code: 'unavailable' })
})
