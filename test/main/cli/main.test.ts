import { describe, expect, test } from 'vitest'
import type { KeyStore } from '../../../main/cli/command.ts'
import { commands } from '../../../main/cli/commands.ts'
import { runCommand } from '../../../main/cli/main.ts'
import { fakeContext, run } from './fake-terminal.ts'

describe('help', () => {
  test('the general help names every command', async () => {
    const { code, output } = await run(['--help'])
    expect(code).toBe(0)
    for (const { name, about } of commands) expect(output).toMatch(new RegExp(`^ {2}${name} +${about}`, 'm'))
  })

  test.each(commands.map(({ name }) => name))('%s has a help that lists its flags', async (name) => {
    const { code, output, errors } = await run([name, '--help'])
    expect({ code, errors }).toEqual({ code: 0, errors: '' })
    expect(output).toContain(`paddock ${name}`)
    const command = commands.find((known) => known.name === name)
    for (const flag of command?.flags ?? []) if (!flag.hidden) expect(output).toContain(`--${flag.name}`)
    expect(await run(['help', name])).toEqual({ code, output, errors })
  })

  test('the help of serve lists the variables of the environment', async () => {
    const { output } = await run(['serve', '--help'])
    expect(output).toContain('OLLAMA_HOST')
    expect(output).toContain('PADDOCK_HOME')
  })
})

describe('a command line that makes no sense', () => {
  test.each([
    [['lost'], 'unknown command "lost" for "paddock"'],
    [['lis'], 'unknown command "lis" for "paddock", did you mean "list"?'],
    [['--nope'], 'unknown flag: --nope'],
    [['run'], 'requires at least 1 arg(s), only received 0'],
    [['cp', 'a'], 'accepts 2 arg(s), received 1'],
    [['list', 'a', 'b'], 'accepts at most 1 arg(s), received 2'],
    [['run', 'm', '--think=banana', 'hi'], 'invalid value for --think: "banana" (must be true, false, high, medium, low, or max)'],
    [['run', 'm', '--format', '{', 'hi'], 'invalid value for --format: neither json nor a JSON Schema'],
    [['show', 'm', '--license', '--system'], "only one of '--license', '--modelfile', '--parameters', '--system', or '--template' can be specified"],
    [['fit', 'm', '--num-ctx', '0'], '--num-ctx must be at least 1'],
    [['upstream', 'remove', ''], 'expected add NAME URL | list | remove NAME'],
    [['upstream', 'add', 'gpu', 'http://gpu', '--protocol', 'other'], 'a protocol is "openai" or "ollama"'],
    [['upstream', 'add', 'gpu', 'http://gpu', '--key'], 'flag needs an argument: --key'],
    [['origin', 'on'], 'expected list | on ORIGIN | off ORIGIN | add FOLDER | remove FOLDER'],
    [['doctor'], 'accepts 1 arg(s), received 0'],
    [['prune', 'a'], 'accepts 0 arg(s), received 1'],
    [['key', 'add'], 'expected add NAME | list | remove NAME'],
  ])('%j is refused with a hint where help is', async (argv, message) => {
    const { code, output, errors } = await run(argv)
    expect({ code, output }).toEqual({ code: 1, output: '' })
    expect(errors).toContain(`Error: ${message}\nSee "paddock`)
  })

  test.each(commands.filter(({ words }) => words[1] > 0 || words[0] > 0).map(({ name }) => name))('%s without a server says how to start one', async (name) => {
    if (name === 'key') return
    const { code, errors } = await run(
      [
        name,
        ...(name === 'cp'
          ? ['a', 'b']
          : name === 'create'
            ? ['a', '-f', '-']
            : name === 'list'
              ? []
              : name === 'upstream' || name === 'origin'
                ? ['list']
                : ['a']),
      ],
      {
        piped: 'FROM b\n',
      },
    )
    expect(code).toBe(1)
    expect(errors).toContain('start the server with "paddock serve"')
  })
})

test('what an error quotes gives a terminal no orders', async () => {
  const context = fakeContext()
  context.serve = () => Promise.reject(new Error('the engine says \x1b[2Jno\nand why'))
  expect(await runCommand(['serve'], context)).toBe(1)
  expect(context.terminal.errors).toMatchObject({ text: 'Error: the engine says [2Jno\nand why\n' })
})

test('version without a server is that of the program', async () => {
  expect(await run(['--version'])).toEqual({
    code: 0,
    output: 'paddock version is 1.2.3\n',
    errors: 'Warning: could not connect to a running Paddock instance\n',
  })
})

test('serve hands on why there is no window', async () => {
  const context = fakeContext()
  let note: string | null = null
  context.serve = async (given) => {
    note = given
  }
  expect(await runCommand(['serve', '--without-window', 'no display'], context)).toBe(0)
  expect(note).toBe('no display')
})

describe('key', () => {
  function keyStore(): KeyStore & { held: Map<string, string[]> } {
    const held = new Map<string, string[]>()
    return {
      held,
      async add(name, scopes) {
        held.set(name, scopes)
        return 'pad-key'
      },
      list: () => [...held].map(([name, scopes]) => ({ name, scopes, createdAt: new Date().toISOString() })),
      remove: (name) => {
        if (!held.delete(name)) throw new Error(`there is no key named "${name}"`)
      },
    }
  }

  test('add writes the key alone to the output', async () => {
    const keys = keyStore()
    const { output, errors } = await run(['key', 'add', 'laptop'], { keys })
    expect(output).toBe('pad-key\n')
    expect(errors).toContain('only this once')
    expect(keys.held.get('laptop')).toEqual(['use'])
  })

  test('add takes scopes', async () => {
    const keys = keyStore()
    await run(['key', 'add', 'laptop', '--scope', 'use,manage'], { keys })
    expect(keys.held.get('laptop')).toEqual(['use', 'manage'])
    expect(await run(['key', 'add', 'other', '--scope', 'all'], { keys })).toMatchObject({
      code: 1,
      errors: expect.stringContaining('a scope is "use" or "manage"'),
    })
  })

  test('list and remove', async () => {
    const keys = keyStore()
    await run(['key', 'add', 'laptop'], { keys })
    expect((await run(['key', 'list'], { keys })).output).toMatch(/^NAME +SCOPES +CREATED\nlaptop +use +Less than a second ago\n$/)
    expect((await run(['key', 'remove', 'laptop'], { keys })).output).toBe("removed 'laptop'\n")
    expect(await run(['key', 'remove', 'laptop'], { keys })).toEqual({ code: 1, output: '', errors: 'Error: there is no key named "laptop"\n' })
  })
})
