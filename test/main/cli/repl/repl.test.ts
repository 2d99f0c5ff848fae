import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Lines, Typed } from '../../../../main/cli/repl/lines.ts'
import { Repl } from '../../../../main/cli/repl/repl.ts'
import { Session, type SessionSettings } from '../../../../main/cli/session.ts'
import { post } from '../../../helpers/http.ts'
import { addModel, criaFile } from '../../../helpers/library.ts'
import { startTestServer, type TestServer } from '../../../helpers/test-server.ts'
import { fakeContext } from '../fake-terminal.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile, { parameters: { temperature: 0, num_predict: 40 } })
})
afterAll(() => server[Symbol.asyncDispose]())

/** A person who types these lines; a function is done during the reply to the line before it. */
class Script implements Lines {
  readonly prompts: string[] = []
  history: boolean | null = null
  #stop: (() => void) | null = null
  readonly #typed: (string | Typed)[]

  constructor(typed: (string | Typed)[]) {
    this.#typed = [...typed]
  }

  async read(prompt: string): Promise<Typed> {
    this.prompts.push(prompt)
    const next = this.#typed.shift() ?? { type: 'end' }
    return typeof next === 'string' ? { type: 'line', text: next } : next
  }

  onInterrupt(callback: () => void): Disposable {
    this.#stop = callback
    return {
      [Symbol.dispose]: () => {
        this.#stop = null
      },
    }
  }

  setHistory(enabled: boolean): void {
    this.history = enabled
  }

  /** Presses Ctrl+C while a reply is written. */
  interrupt(): void {
    this.#stop?.()
  }
}

async function converse(typed: (string | Typed)[], change: Partial<SessionSettings> = {}) {
  const context = fakeContext({ url: server.url })
  const settings: SessionSettings = {
    model: 'cria',
    system: null,
    options: {},
    format: null,
    think: false,
    keepAlive: null,
    wordWrap: true,
    hideThinking: false,
    verbose: false,
    keepHistory: false,
    ...change,
  }
  const session = new Session(context, settings)
  await session.open()
  const script = new Script(typed)
  await new Repl(context, session, script).run()
  return { session, script, output: context.terminal.output.text, errors: context.terminal.errors.text }
}

describe('messages', () => {
  test('a reply follows, and the conversation is remembered', async () => {
    const { output, session } = await converse(['What is 2 + 3?'])
    expect(output).toBe('2 + 3 = 10\n\n\n')
    expect(session.messages).toEqual([
      { role: 'user', content: 'What is 2 + 3?' },
      { role: 'assistant', content: expect.stringMatching(/2 \+ 3 = 10$/) },
    ])
  })

  test('a message over several lines begins and ends with three quotes', async () => {
    const { session, script } = await converse(['"""What is', '2 + 3?"""'])
    expect(session.messages[0]?.content).toBe('What is\n2 + 3?')
    expect(script.prompts).toEqual(['>>> ', '... ', '>>> '])
  })

  test('Ctrl+C drops a message over several lines', async () => {
    const { session, script } = await converse(['"""What is', { type: 'interrupt' }])
    expect(session.messages).toEqual([])
    expect(script.prompts).toEqual(['>>> ', '... ', '>>> '])
  })

  test('a blank line is no message', async () => {
    expect((await converse(['', '   '])).session.messages).toEqual([])
  })

  test('Ctrl+C stops a reply, keeps what came of it, and the conversation goes on', async () => {
    const context = fakeContext({ url: server.url })
    const session = new Session(context, {
      ...(await converse([])).session.settings,
      options: { num_predict: 100_000, num_ctx: 2048, temperature: 1, seed: 1 },
      format: { type: 'string' },
    })
    await session.open()
    const script = new Script(['Write for ever.', '/clear'])
    const output = context.terminal.output
    const running = new Repl(context, session, script).run()
    await expect.poll(() => output.text.length).toBeGreaterThan(10)
    script.interrupt()
    await running
    expect(output.text).toContain('Cleared session context')
    expect(context.terminal.errors.text).not.toContain('Error')
    await expect.poll(() => server.slotsInUse()).toBe(0)
  })

  test('an error is shown, the question is forgotten, and the conversation goes on', async () => {
    const { errors, session } = await converse(['/set parameter num_ctx 2048', 'Hi', '/bye'], { format: { type: 'nonsense' } })
    expect(errors).toMatch(/^Error: /)
    expect(session.messages).toEqual([])
  })
})

describe('/set', () => {
  test.each([
    ['/set wordwrap', "Set 'wordwrap' mode."],
    ['/set nowordwrap', "Set 'nowordwrap' mode."],
    ['/set verbose', "Set 'verbose' mode."],
    ['/set quiet', "Set 'quiet' mode."],
    ['/set think', "Set 'think' mode."],
    ['/set think low', "Set 'think' mode to 'low'."],
    ['/set think banana', "'banana' is no level of thinking: low, medium, high or max."],
    ['/set nothink', "Set 'nothink' mode."],
    ['/set format json', "Set format to 'json' mode."],
    ['/set format xml', "Invalid or missing format. For 'json' mode use '/set format json'"],
    ['/set noformat', 'Disabled format.'],
    ['/set parameter temperature 0.5', "Set parameter 'temperature' to '0.5'"],
    ['/set parameter stop a b', "Set parameter 'stop' to 'a, b'"],
    ['/set system Be brief.', 'Set system message.'],
    ['/set nope', "Unknown command '/set nope'. Type /? for help"],
  ])('%s answers %s', async (line, answer) => {
    expect((await converse([line])).output).toBe(`${answer}\n\n`)
  })

  test('changes what is sent', async () => {
    const { session } = await converse([
      '/set parameter temperature 0.5',
      '/set parameter stop a b',
      '/set system "Be  brief."',
      '/set format json',
      '/set think high',
    ])
    expect(session.settings).toMatchObject({ options: { temperature: 0.5, stop: ['a', 'b'] }, system: 'Be  brief.', format: 'json', think: 'high' })
  })

  test('a system message may take several lines', async () => {
    expect((await converse(['/set system """You are', 'a pirate."""'])).session.settings.system).toBe('You are\na pirate.')
  })

  test('an unknown parameter is refused with the nearest', async () => {
    const { errors, session } = await converse(['/set parameter temprature 1'])
    expect(errors).toBe("Error: unknown parameter 'temprature', did you mean 'temperature'?\n")
    expect(session.settings.options).toEqual({})
  })

  test('history can be switched off', async () => {
    expect((await converse(['/set nohistory'])).script.history).toBe(false)
  })

  test('verbose shows counts and times from the next reply on', async () => {
    expect((await converse(['/set verbose', 'Hi'])).errors).toContain('eval rate:')
  })
})

describe('/show', () => {
  test.each([
    ['/show info', /^ {2}Model\n {4}architecture {2,}llama\n/],
    ['/show license', /^No license was specified for this model\.\n/],
    ['/show modelfile', /^# Modelfile generated by /],
    ['/show parameters', /^Model defined parameters:\n {2}num_predict +40\n/],
    ['/show system', /^No system message was specified for this model\.\n/],
    ['/show template', /im_start/],
    ['/show nope', /^Unknown command '\/show nope'\. Type \/\? for help\n/],
    ['/show', /^Available Commands:\n {2}\/show info/],
  ])('%s', async (line, answer) => {
    expect((await converse([line])).output).toMatch(answer)
  })

  test('shows what was set in the session', async () => {
    const { output } = await converse(['/set system Arr', '/show system', '/set parameter top_k 3', '/show parameters'])
    expect(output).toContain('\nArr\n')
    expect(output).toMatch(/User defined parameters:\n {2}top_k {4}3\n/)
  })
})

describe('/load and /save', () => {
  test('/load goes on with another model and a new conversation', async () => {
    const { output, session } = await converse(['Hi', '/load smollm2:135m'])
    expect(output).toContain("Loading model 'smollm2:135m'\n")
    expect({ model: session.settings.model, messages: session.messages }).toEqual({ model: 'smollm2:135m', messages: [] })
  })

  test('/load of a model that is missing changes nothing', async () => {
    const { output, session } = await converse(['Hi', '/load nope'])
    expect(output).toContain("Couldn't find model 'nope'\n")
    expect({ model: session.settings.model, count: session.messages.length }).toEqual({ model: 'cria', count: 2 })
  })

  test('/save keeps system message, parameters and conversation as a model', async () => {
    const { output } = await converse(['/set system Be brief.', '/set parameter top_k 3', 'What is 2 + 3?', '/save saved'])
    expect(output).toContain("Created new model 'saved'\n")
    const { body } = await post(server.url, '/api/show', { model: 'saved' })
    expect(body).toMatchObject({ system: 'Be brief.', messages: [{ role: 'user', content: 'What is 2 + 3?' }, { role: 'assistant' }] })
    expect(body.parameters).toMatch(/top_k +3/)
  })

  test.each(['/load', '/save', '/load a b'])('%s says how it is used', async (line) => {
    expect((await converse([line])).output).toMatch(/^Usage:\n {2}\/(load|save) <modelname>\n/)
  })
})

describe('the other commands', () => {
  test('/clear forgets the conversation and keeps the settings', async () => {
    const { session, output } = await converse(['/set system Arr', 'Hi', '/clear'])
    expect(output).toContain('Cleared session context\n')
    expect({ messages: session.messages, system: session.settings.system }).toEqual({ messages: [], system: 'Arr' })
  })

  test('/list shows what is installed', async () => {
    expect((await converse(['/list'])).output).toMatch(/^NAME +ID +SIZE +MODIFIED\n/)
  })

  test.each(['/bye', '/exit'])('%s leaves', async (line) => {
    expect((await converse([line, 'Hi'])).session.messages).toEqual([])
  })

  test.each([
    ['/?', '/bye'],
    ['/help', '/clear'],
    ['/? set', '/set parameter'],
    ['/? /show', '/show template'],
    ['/? shortcuts', 'Ctrl + c'],
  ])('%s tells of %s', async (line, text) => {
    expect((await converse([line])).output).toContain(text)
  })

  test('a slash that means nothing is named', async () => {
    expect((await converse(['/dance now'])).output).toBe("Unknown command '/dance'. Type /? for help\n\n")
  })
})
