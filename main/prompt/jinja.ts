import { AppError } from '../errors.ts'
import { isJsonObject, type JsonObject } from '../lib/json.ts'
import { type Attempt, attempts } from './jinja-forms.ts'
import type { Message, RenderInput, Tool } from './messages.ts'
import { type CallForm, inferForm, probes } from './parsers/inferred.ts'

/** Renders one Jinja template; throws `invalid-template`, whose `cause` is the engine's own report if the engine lived to give one. */
export type RenderTemplate = (template: string, variables: JsonObject, signal: AbortSignal) => Promise<string>

/** Text of the vocabulary's BOS and EOS tokens, '' when there is none. */
export interface SpecialTexts {
  bosText: string
  eosText: string
}

/** How a template writes an assistant's thinking, white space included: `<think>\n` … `\n</think>\n\n`. */
export interface ThinkingMarkup {
  open: string
  close: string
}

/** The reply that a trailing assistant message begins; '' and no thinking when the last message is another's. */
export function prefillOf(messages: Message[]): { content: string; thinking: string } {
  const last = messages.at(-1)
  if (last?.role !== 'assistant' || last.toolCalls?.length) return { content: '', thinking: '' }
  return { content: last.content, thinking: last.thinking ?? '' }
}

/**
 * Renders a conversation with a model's own template, ready for the reply to follow.
 *
 * Templates differ in what they take (arguments as text, no system role, ids of nine characters); the forms are tried in turn until one renders and shows the system's and the user's words.
 * A trailing assistant message is continued: its text follows the generation prompt, with its thinking block written out when the template has one (`markup`), as llama.cpp's server does.
 *
 * @throws `invalid-template` with the template's own reason when it takes no form of the conversation
 */
export async function renderJinja(
  render: RenderTemplate,
  template: string,
  input: RenderInput,
  { bosText, eosText, markup = null }: SpecialTexts & { markup?: ThinkingMarkup | null },
  signal: AbortSignal,
): Promise<string> {
  const prefill = prefillOf(input.messages)
  const continues = prefill.content !== '' || prefill.thinking !== ''
  const messages = continues ? input.messages.slice(0, -1) : input.messages
  const base = variablesOf(template, input, { bosText, eosText })
  const prompt = await firstAccepted(attempts(messages, template), (attempt) =>
    render(template, { ...base, messages: withTools(template, attempt.messages, input.tools) }, signal),
  )
  if (!continues) return prompt
  if (markup === null) return prompt + prefill.content
  const opened = withoutThinkingTail(prompt, markup) + markup.open + prefill.thinking
  return prefill.content === '' ? opened : opened + markup.close + prefill.content
}

/** Finds by rendering which white space the template writes around the tags of thinking; null when it writes none of an earlier reply's. */
export async function probeThinking(
  render: RenderTemplate,
  template: string,
  { open, close }: ThinkingMarkup,
  texts: SpecialTexts,
  signal: AbortSignal,
): Promise<ThinkingMarkup | null> {
  const thinking = 'QZTHINKINGQZ'
  const reply: Message = { role: 'assistant', content: 'QZANSWERQZ', thinking }
  // Some write only the thinking that led to a call.
  const calling: Message = { ...reply, toolCalls: [{ id: 'call00001', index: 0, name: 'qztool', arguments: {} }] }
  for (const last of [reply, calling]) {
    const text = await renderConversation(render, template, [{ role: 'user', content: 'QZQUESTIONQZ' }, last], texts, signal)
    const at = text?.indexOf(thinking) ?? -1
    if (text === null || at < 0) continue
    const before = text.slice(0, at)
    const after = text.slice(at + thinking.length)
    const opened = before.slice(before.trimEnd().length)
    return {
      open: before.trimEnd().endsWith(open) ? open + opened : open,
      close: after.trimStart().startsWith(close)
        ? (/^\s*/.exec(after)?.[0] ?? '') + close + (/^\s*/.exec(after.trimStart().slice(close.length))?.[0] ?? '')
        : close,
    }
  }
  return null
}

/** Finds by rendering how the template writes calls of tools; null when it shows no form that is understood. */
export async function probeCalls(render: RenderTemplate, template: string, texts: SpecialTexts, signal: AbortSignal): Promise<CallForm | null> {
  const withCall = await renderConversation(render, template, probes.call, texts, signal)
  const withWords = await renderConversation(render, template, probes.words, texts, signal)
  return withCall === null || withWords === null ? null : inferForm(withCall, withWords)
}

/** A conversation that has ended, without the prompt for another reply; null when the template does not take it. */
export async function renderConversation(
  render: RenderTemplate,
  template: string,
  messages: Message[],
  texts: SpecialTexts,
  signal: AbortSignal,
  tools: Tool[] = [],
): Promise<string | null> {
  const variables = { ...variablesOf(template, { messages, tools, think: true }, texts), add_generation_prompt: false }
  try {
    return await firstAccepted(attempts(messages, template), (attempt) =>
      render(template, { ...variables, messages: withTools(template, attempt.messages, tools) }, signal),
    )
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid-template') return null
    throw error
  }
}

/** A prompt whose generation prompt has opened (or opened and closed) a thinking block, without that block. */
function withoutThinkingTail(prompt: string, { open, close }: ThinkingMarkup): string {
  let rest = prompt.trimEnd()
  const closed = rest.endsWith(close.trim())
  if (closed) rest = rest.slice(0, -close.trim().length).trimEnd()
  return rest.endsWith(open.trim()) ? rest.slice(0, -open.trim().length) : prompt
}

function variablesOf(template: string, { tools, think, variables }: RenderInput, { bosText, eosText }: SpecialTexts): JsonObject {
  return {
    ...(tools.length > 0 && { tools }),
    // SmolLM3 calls the tools that are to be called in JSON so.
    ...(tools.length > 0 && /\bxml_tools\b/.test(template) && { xml_tools: tools }),
    ...(tools.length > 0 && /\bfunctions\b/.test(template) && { functions: JSON.stringify(tools, null, 4) }),
    add_generation_prompt: true,
    bos_token: bosText,
    eos_token: eosText,
    enable_thinking: think !== false,
    // DeepSeek and Granite name the same switch so; unset, it is off.
    ...(think !== null && { thinking: think !== false }),
    ...(typeof think === 'string' && { reasoning_effort: think }),
    ...(isJsonObject(variables) && variables),
  }
}

const toolsOfMessage = /message(\.tools\b|\[['"]tools['"]\])|['"]tools['"] in message/g

/** Phi 4 mini reads the tools from the system's message alone, as text. */
function withTools(template: string, messages: JsonObject[], tools: readonly Tool[]): JsonObject[] {
  const others = template.replace(toolsOfMessage, '')
  if (tools.length === 0 || others === template || /\btools\b/.test(others)) return messages
  const text = JSON.stringify(tools.map((tool) => tool.function))
  const [first, ...rest] = messages
  return first?.role === 'system' ? [{ ...first, tools: text }, ...rest] : [{ role: 'system', content: '', tools: text }, ...messages]
}

/**
 * The first rendering that succeeds and shows what it should; failing that, the first that succeeds.
 *
 * Each attempt's outcome steers the next: an adjustment that changes the reason for refusal is kept, as it solved something.
 */
async function firstAccepted(search: Generator<Attempt, void, string | AppError>, render: (attempt: Attempt) => Promise<string>): Promise<string> {
  let firstError: AppError | null = null
  let firstText: string | null = null
  let step = search.next()
  while (!step.done) {
    const attempt: Attempt = step.value
    let outcome: string | AppError
    try {
      outcome = await render(attempt)
      if (attempt.shows(outcome)) return outcome
      firstText ??= outcome
      outcome = 'incomplete'
    } catch (error) {
      // Without a cause the engine hung or died: another form would only do it again.
      if (!(error instanceof AppError) || error.code !== 'invalid-template' || error.cause === undefined) throw error
      firstError ??= error
      outcome = error
    }
    step = search.next(outcome)
  }
  if (firstText !== null) return firstText
  throw firstError ?? new AppError('invalid-template', 'the chat template takes no form of this conversation')
}
