import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { JsonObject } from '../../main/lib/json.ts'
import { post } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { hasLlamaSource, llamaSourceFile } from '../helpers/llama-source.ts'
import { templateModel } from '../helpers/template-model.ts'
import { startTestServer } from '../helpers/test-server.ts'

interface Expected {
  scenarios: Record<string, JsonObject>
  rendered: Record<string, Record<string, string>>
}

const { scenarios, rendered }: Expected = JSON.parse(readFileSync(new URL('../fixtures/templates/expected.json', import.meta.url), 'utf8'))
const complete = await hasLlamaSource()
if (!complete) console.info('left out: the real templates need git to be unpacked')

/** What the native dialect has no words for. */
const unsayable = {
  toolcall_str: 'arguments are objects here; as a text they are OpenAI’s, and mean the same as toolcall_obj',
  toolcall_null: 'a missing content is an empty one, so it is toolcall_obj again',
  prefill: 'a trailing assistant message is continued, not closed; looked at below',
}

/** Thinking models think unless told not to; these, by their own template, think only when told to, and so the reference had them. */
const quietByThemselves = [
  'Apertus-8B-Instruct',
  'Bielik-11B-v3.0-Instruct',
  'CohereForAI-c4ai-command-r7b-12-2024-tool_use',
  'Qwen-QwQ-32B',
  'Reka-Edge',
  'deepseek-ai-DeepSeek-R1-Distill-Qwen-32B',
  'deepseek-ai-DeepSeek-V3.1',
  'deepseek-ai-DeepSeek-V3.2',
  'deepseek-ai-DeepSeek-V4',
  'deepseek-ai-DeepSeek-V4-Flash-0731',
  'google-gemma-4-31B-it',
  'google-gemma-4-31B-it-interleaved',
  'poolside-Laguna-XS-2.1',
  'poolside-Laguna-XS.2',
]

const named = (template: string, ...names: string[]) => names.map((name) => `${template} ${name}`)

/** Why a prompt is not the reference's, and which. */
const differences: Record<string, string[]> = {
  'the template drops tools without a word; the request is refused as the model has none': [
    ...['llama-cpp-rwkv-world', 'microsoft-Phi-3.5-mini-instruct'].flatMap((file) => named(file, 'tools', 'toolcall_obj')),
    ...named('google-gemma-2-2b-it', 'tools'),
  ],
  'the template reads tools by a name of its own, which the reference does not know': named('HuggingFaceTB-SmolLM3-3B', 'tools', 'toolcall_obj'),
  'thinking is on unless it is said, and the template writes more then': [
    ...named('llama-cpp-rwkv-world', 'simple', 'system', 'multi'),
    ...named('openbmb-MiniCPM5-1B', 'simple', 'system', 'multi', 'tools', 'toolcall_obj'),
  ],
  'the template opens a thinking block whatever is said; when thinking is off it is closed again': [
    'Apriel-1.6-15b-Thinker-fixed',
    'Cohere2MoE',
    'Kimi-K3',
    'MiniMax-M2',
    'NVIDIA-Nemotron-Nano-v2',
    'StepFun3.5-Flash',
    'deepseek-ai-DeepSeek-R1-Distill-Llama-8B',
    'llama-cpp-deepseek-r1',
  ].flatMap((file) => named(file, 'think_off')),
  'the reference escapes JSON for HTML': named('meetkai-functionary-medium-v3.1', 'tools', 'toolcall_obj'),
}

/** A scenario in the words of the native dialect. */
function chatRequest(name: string, template: string, thinks: boolean): JsonObject {
  const { messages, tools, enable_thinking: asked } = scenarios[name] as { messages: JsonObject[]; tools?: JsonObject[]; enable_thinking?: boolean }
  const think = asked ?? (quietByThemselves.includes(template) ? false : undefined)
  return {
    messages: messages.map(nativeMessage),
    ...(tools && { tools }),
    ...(thinks && think !== undefined && { think }),
    truncate: false,
    stream: false,
    _debug_render_only: true,
  }
}

function nativeMessage({ role, content, reasoning_content: thinking, tool_calls: calls, name, tool_call_id: callId }: JsonObject): JsonObject {
  return {
    role: role ?? '',
    content: content ?? '',
    ...(thinking !== undefined && { thinking }),
    ...(calls !== undefined && { tool_calls: (calls as JsonObject[]).map(({ id, function: called }) => ({ id, function: called })) as JsonObject[] }),
    ...(name !== undefined && { tool_name: name }),
    ...(callId !== undefined && { tool_call_id: callId }),
  }
}

async function rendering(url: string, request: JsonObject): Promise<string> {
  const { status, body } = await post(url, '/api/chat', request)
  return status === 200 ? (body._debug_info as { rendered_template: string }).rendered_template : `! ${status} ${body.error}`
}

/** The user's words are in the prompt, and a reply that was begun ends it; a refusal says what the model has not. */
function keepsWords(prompt: string, name: string): boolean {
  if (prompt.startsWith('! ')) return /^! 400 .* does not support tools$/.test(prompt)
  const messages = (scenarios[name]?.messages ?? []) as JsonObject[]
  const asked = messages.findLast(({ role }) => role === 'user')?.content
  return prompt.includes(String(asked)) && (name !== 'prefill' || prompt.endsWith(String(messages.at(-1)?.content)))
}

test.runIf(complete)(
  '68 real templates in model files render conversations of /api/chat as the reference does, but for what is named',
  { timeout: 60_000 },
  async () => {
    await using server = await startTestServer()
    const found: string[] = []
    const lost: string[] = []
    for (const [file, texts] of Object.entries(rendered)) {
      const template = file.replace('.jinja', '')
      await addModel(server.url, template, templateModel(await readFile(await llamaSourceFile(`models/templates/${file}`), 'utf8')))
      const shown = await post(server.url, '/api/show', { model: template })
      const thinks = (shown.body.capabilities as string[]).includes('thinking')
      for (const [name, text] of Object.entries(texts)) {
        if (name in unsayable && name !== 'prefill') continue
        const prompt = await rendering(server.url, { model: template, ...chatRequest(name, template, thinks) })
        if (!keepsWords(prompt, name)) lost.push(`${template} ${name}: ${prompt}`)
        if (name !== 'prefill' && !text.startsWith('!') && prompt !== text) found.push(`${template} ${name}`)
      }
    }
    expect(lost).toEqual([])
    expect(found.sort()).toEqual(Object.values(differences).flat().sort())
    expect(server.services.scheduler.resident()).toEqual([])
  },
)

test('a prompt that is rendered without its model in memory is the one that the model reads', async () => {
  await using server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'What is the capital of France?' },
  ]
  for (const model of ['cria', 'smollm2:135m']) {
    const request = { model, messages, stream: false, _debug_render_only: true }
    const unloaded = [await rendering(server.url, { ...request, truncate: false }), await rendering(server.url, { ...request, options: { num_ctx: 2048 } })]
    expect(server.services.scheduler.resident().map(({ label }) => label.name)).not.toContain(model)
    const loaded = await rendering(server.url, request)
    expect(unloaded).toEqual([loaded, loaded])
  }
})
