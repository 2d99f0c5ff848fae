import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exchange, get, post } from '../../helpers/http.ts'
import { addModel, createFrom, criaFile } from '../../helpers/library.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

// Rows of the checklist in the protocol's reference (ollama-api §15), quoted, that the recorded exchanges do not prove.

let server: TestServer
const create = (body: Record<string, unknown>) => post(server.url, '/api/create', { stream: false, ...body })
const show = async (model: string, more: Record<string, unknown> = {}) => (await post(server.url, '/api/show', { model, ...more })).body
const remove = (model: string) => exchange(server.url, { method: 'DELETE', path: '/api/delete', body: JSON.stringify({ model }) })
const names = async () => (await get<{ models: { name: string }[] }>(server.url, '/api/tags')).models.map(({ name }) => name)
const blobs = async () => (await readdir(path.join(server.models, 'blobs'))).sort()

beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
})
afterAll(() => server?.[Symbol.asyncDispose]())

describe('model management', () => {
  test('tag list of an empty store is []; entries have no expires_at', async () => {
    await using empty = await startTestServer()
    const { models } = await get<{ models: Record<string, unknown>[] }>(empty.url, '/api/tags')
    expect(models.some((model) => 'expires_at' in model)).toBe(false)
    for (const { name } of models) await exchange(empty.url, { method: 'DELETE', path: '/api/delete', body: JSON.stringify({ model: name }) })
    expect((await exchange(empty.url, { method: 'GET', path: '/api/tags' })).text).toBe('{"models":[]}')
    expect((await get<{ data: unknown }>(empty.url, '/v1/models')).data).toEqual([])
  })

  test('copy/create/delete/show with any letter case hit the same manifest; no second manifest appears', async () => {
    await create({ model: 'MyModel', from: 'CRIA' })
    await create({ model: 'mymodel', from: 'cria', system: 'second' })
    await post(server.url, '/api/copy', { source: 'MYMODEL', destination: 'MyModel:Copy' })
    await post(server.url, '/api/copy', { source: 'mymodel', destination: 'MYMODEL:copy' })
    expect((await names()).filter((name) => /mymodel/i.test(name)).sort()).toEqual(['MyModel:Copy', 'MyModel:latest'])
    expect((await show('MYMODEL')).system).toBe('second')
    expect([(await remove('mymodel')).status, (await remove('mYmodel:COPY')).status]).toEqual([200, 200])
    expect((await names()).filter((name) => /mymodel/i.test(name))).toEqual([])
  })

  test('create from base keeps template/system/params/licence/messages', async () => {
    await create({
      model: 'base',
      from: 'cria',
      template: '{{ .Prompt }}!',
      system: 'one',
      parameters: { temperature: 0.3, stop: ['a', 'b'], seed: 7 },
      license: 'MIT',
      messages: [{ role: 'user', content: 'hi' }],
    })
    await create({ model: 'child', from: 'base' })
    const { modelfile: _base, modified_at: _, details: __, ...base } = await show('base')
    expect(await show('child')).toMatchObject(base)
  })

  test('system replaced by a new one; parameters merged, stop replaced; messages replaced only if given; licence appended', async () => {
    await create({ model: 'heir', from: 'base', system: 'two', parameters: { temperature: 0.9, stop: ['c'] }, license: ['Extra'] })
    const heir = await show('heir')
    const parameters = Object.fromEntries(
      String(heir.parameters)
        .split('\n')
        .map((line) => line.split(/\s+/)),
    )
    expect([heir.system, heir.messages, heir.license]).toEqual(['two', [{ role: 'user', content: 'hi' }], 'MIT\nExtra'])
    expect(parameters).toEqual({ temperature: '0.9', stop: '"c"', seed: '7' })
  })

  test('renderer/parser inherited from base', async () => {
    await create({ model: 'coder', from: 'cria', renderer: 'qwen3-coder', parser: 'qwen3-coder' })
    await create({ model: 'coder-too', from: 'coder', system: 'Be brief.' })
    expect((await show('coder-too')).modelfile).toMatch(/RENDERER qwen3-coder\nPARSER qwen3-coder/)
  })

  test('`info` field types validated', async () => {
    const refused = async (info: object) => (await create({ model: 'informed', from: 'cria', info })).body.error
    expect([await refused({ model_family: 5 }), await refused({ context_length: 'x' }), await refused({ context_length: -1 })]).toEqual([
      'info field "model_family" must be a string',
      'info field "context_length" must be a number',
      'info field "context_length" must be a non-negative integer',
    ])
    expect((await create({ model: 'informed', from: 'cria', info: { context_length: 77 } })).status).toBe(200)
  })

  test('quantize: already quantised source → error', async () => {
    expect(await createFrom(server.url, 'smaller', criaFile, { quantize: 'Q4_K_M' })).toEqual({
      status: 500,
      body: { error: 'quantization is only supported for F16, BF16 and F32 models' },
    })
  })

  test('re-creating a name removes its now-unused layers, keeps shared ones', async () => {
    await create({ model: 'again', from: 'cria', system: 'only for a moment' })
    const before = await blobs()
    await create({ model: 'again', from: 'cria', system: 'for good' })
    const gone = `sha256-${createHash('sha256').update('only for a moment').digest('hex')}`
    const shared = `sha256-${createHash('sha256').update('MIT').digest('hex')}`
    const after = await blobs()
    expect([before.includes(gone), after.includes(gone), after.includes(shared)]).toEqual([true, false, true])
  })

  test('deleting one of two names keeps the blobs of the other', async () => {
    await create({ model: 'left', from: 'cria', system: 'shared text' })
    await create({ model: 'right', from: 'left' })
    await remove('left')
    expect(
      await post(server.url, '/api/generate', { model: 'right', prompt: 'What is the capital of France?', stream: false, options: { temperature: 0 } }),
    ).toMatchObject({ status: 200 })
    await remove('right')
    expect((await blobs()).includes(`sha256-${createHash('sha256').update('shared text').digest('hex')}`)).toBe(false)
  })

  test('bad templates ({{ .Prompt, unclosed if, unknown function) → 400 template error: …', async () => {
    const answers = await Promise.all(
      ['{{ .Prompt', '{{ if .Prompt }}x', '{{ nothing .Prompt }}'].map((template) => create({ model: 'bad', from: 'cria', template })),
    )
    expect(answers).toEqual(answers.map(() => ({ status: 400, body: { error: expect.stringMatching(/^template error: template: /) } })))
    expect((await names()).includes('bad:latest')).toBe(false)
  })

  test('files: GGUF detected by magic even without extension; others unknown type; <4-byte file rejected; empty digests rejected', async () => {
    const digest = `sha256:${createHash('sha256').update('GG').digest('hex')}`
    await exchange(server.url, { method: 'POST', path: `/api/blobs/${digest}`, body: 'GG' })
    const weights = (await blobs()).length
    const good = await createFrom(server.url, 'nameless', criaFile, { files: undefined })
    expect([good.status >= 200, weights > 0]).toEqual([true, true])
    const cria = /sha256-[0-9a-f]{64}/.exec(String((await show('cria')).modelfile))?.[0].replace('-', ':')
    const outcomes = [
      await create({ model: 'plain', files: { weights: cria } }),
      await create({ model: 'short', files: { 'a.gguf': digest } }),
      await create({ model: 'none', files: { 'a.gguf': '' } }),
    ]
    expect(outcomes.map(({ status }) => status)).toEqual([200, 400, expect.any(Number)])
    expect(outcomes[2]?.body.error).toBe('invalid digest format')
  })

  test('../, absolute, nested escapes rejected', async () => {
    const digest = `sha256:${'0'.repeat(64)}`
    const answers = await Promise.all(['../a.gguf', '/etc/a.gguf', 'a/../../b.gguf'].map((name) => create({ model: 'x', files: { [name]: digest } })))
    expect(answers).toEqual(answers.map(() => ({ status: 400, body: { error: 'file path must be relative' } })))
  })

  test('show with name missing → 400 model is required; unknown model → 404', async () => {
    const answers = [await post(server.url, '/api/show', {}), await post(server.url, '/api/show', { model: 'nothing' })]
    expect(answers).toEqual([
      { status: 400, body: { error: 'model is required' } },
      { status: 404, body: { error: "model 'nothing:latest' not found" } },
    ])
  })

  test('show: parameters lines formatted; template is the one used at run time', async () => {
    const { parameters, template } = await show('base')
    expect(String(parameters).split('\n').sort()).toEqual([
      'seed                           7',
      'stop                           "a"',
      'stop                           "b"',
      'temperature                    0.3',
    ])
    const rendered = await post(server.url, '/api/generate', { model: 'base', prompt: 'x', _debug_render_only: true })
    const usesGo = (rendered.body._debug_info as { rendered_template: string }).rendered_template.includes('!')
    expect(String(template).includes('{{ .Prompt }}!')).toBe(usesGo)
  })

  test('show: verbose gives the arrays that are null otherwise', async () => {
    const tokens = async (verbose: boolean) => ((await show('cria', { verbose })).model_info as Record<string, unknown>)['tokenizer.ggml.tokens']
    expect([await tokens(false), ((await tokens(true)) as unknown[]).length]).toEqual([null, 2048])
  })

  test('capabilities agree between tags and show', async () => {
    const { models } = await get<{ models: { name: string; capabilities: string[] }[] }>(server.url, '/api/tags')
    for (const { name, capabilities } of models) expect([...((await show(name)).capabilities as string[])].sort(), name).toEqual([...capabilities].sort())
  })

  test('show: Copilot user agent sets basename', async () => {
    const answer = await exchange(server.url, {
      method: 'POST',
      path: '/api/show',
      headers: { 'user-agent': 'GitHubCopilotChat/1.0' },
      body: JSON.stringify({ model: 'cria' }),
    })
    expect((JSON.parse(answer.text) as { model_info: Record<string, unknown> }).model_info['general.basename']).toBe('cria')
  })

  test('wait-mode: error alone keeps its status; several progress objects → only the last is returned', async () => {
    const good = await create({ model: 'wait', from: 'cria', system: 'x' })
    const bad = await create({ model: 'wait' })
    expect([good, bad]).toEqual([
      { status: 200, body: { status: 'success' } },
      { status: 400, body: { error: "neither 'from' or 'files' was specified" } },
    ])
  })

  test('a blob is kept only under its digest, and a HEAD tells that it is there', async () => {
    const digest = `sha256:${createHash('sha256').update('new bytes').digest('hex')}`
    const status = async (method: string, body?: string) => (await exchange(server.url, { method, path: `/api/blobs/${digest}`, body })).status
    expect([
      await status('HEAD'),
      await status('POST', 'other bytes'),
      await status('HEAD'),
      await status('POST', 'new bytes'),
      await status('HEAD'),
      await status('POST', 'new bytes'),
    ]).toEqual([404, 400, 404, 201, 200, 200])
    expect((await blobs()).filter((name) => !/^sha256-[0-9a-f]{64}$/.test(name))).toEqual([])
  })

  test('deleting a model that ships hides it, and it can be brought back', async () => {
    expect((await remove('all-minilm')).status).toBe(200)
    expect(await names()).not.toContain('all-minilm:latest')
    expect(await server.services.library.restore(null)).toBe(1)
    expect(await names()).toContain('all-minilm:latest')
  })
})

describe('names', () => {
  test('every spelling of a name is one model', async () => {
    const spellings = ['cria', 'cria:latest', 'CRIA', 'library/cria', 'registry.ollama.ai/library/cria:latest', ' cria ']
    const answers = await Promise.all(spellings.map((model) => post(server.url, '/api/show', { model })))
    expect(answers.map(({ status }) => status)).toEqual(spellings.map(() => 200))
  })

  test('parts that are empty, too long or of wrong characters are invalid', async () => {
    const bad = ['cria:', '/cria', 'a//b', '-x', 'a:b/c', 'x'.repeat(81), 'a b', 'a@sha256']
    const answers = await Promise.all(bad.map((model) => post(server.url, '/api/show', { model })))
    expect(answers.map(({ status, body }) => [status, body.error])).toEqual(bad.map(() => [400, 'invalid model name']))
  })
})
