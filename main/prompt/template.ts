import { AppError } from '../errors.ts'
import { type GoTemplate, parseGoTemplate } from './go.ts'
import { prefillOf, probeCalls, probeThinking, type RenderTemplate, renderJinja, type SpecialTexts, type ThinkingMarkup } from './jinja.ts'
import type { Message, RenderInput, ReplyEvent, ReplyParser, Think, Tool } from './messages.ts'
import { CallParser } from './parsers/calls.ts'
import { familyOf, marksReplies } from './parsers/families.ts'
import type { HoldCalls } from './parsers/family.ts'
import { GenericCallParser } from './parsers/generic.ts'
import { HarmonyParser, harmonyMarkup, isHarmony } from './parsers/harmony.ts'
import { holdHarmonyCalls } from './parsers/harmony-calls.ts'
import { hermes } from './parsers/hermes.ts'
import { type CallForm, inferForm, probes } from './parsers/inferred.ts'
import { holdJsonCalls } from './parsers/json-call-grammar.ts'
import { ThinkingAndCalls } from './parsers/reply-parser.ts'
import { type ThinkingLayout, ThinkingSplitter } from './parsers/thinking.ts'
import { inspectTemplates, type TemplateFacts } from './template-facts.ts'
import { TemplateFindings } from './template-findings.ts'
import { type ThinkingTags, thinkingTags } from './thinking-tags.ts'

export type { ThinkingTags } from './thinking-tags.ts'

/** What the reply to one prompt is split by. */
export interface ParserOptions {
  tools: Tool[]
  think: Think | null
  /** As rendered: it may end inside a thinking block, or behind one. */
  prompt: string
  /** As rendered: a trailing assistant message has begun the reply. */
  messages?: Message[]
  /** A grammar shapes the reply, so the white space before it is not part of it. */
  format?: boolean
}

/** Renders a model's prompts and knows how its replies are to be read. */
export interface PromptTemplate {
  readonly kind: TemplateFacts['selected']
  /** null: the model's thinking, if any, cannot be told from its text. */
  readonly thinkingTags: ThinkingTags | null
  render(input: RenderInput, signal: AbortSignal): Promise<string>
  /** Holds calls in the form that this template's model was taught, known once a prompt with tools has been rendered; null where there is none. */
  readonly holdCalls: HoldCalls | null
  parser(options: ParserOptions): ReplyParser
}

interface TemplateSources {
  /** Of a Modelfile or a manifest's layer. */
  go: string | null
  /** Of the model's file. */
  jinja: string | null
  /** Of the request; Go's language, and always used. */
  request?: string | null
  /** Forces the choice where both are there; null leaves it to their capabilities. */
  preferGo?: boolean | null
}

/** The template that renders a model's prompts. Throws `invalid-template` for a Go template that does not parse. */
export function promptTemplate({
  go,
  jinja,
  request = null,
  preferGo = null,
  render,
  specials,
}: TemplateSources & { render: RenderTemplate; specials: SpecialTexts }): PromptTemplate {
  if (request !== null && request !== '') return goPrompt(request)
  const { selected } = inspectTemplates(go, jinja, preferGo)
  if (selected === 'go') return goPrompt(go as string)
  return selected === 'jinja' ? jinjaPrompt(jinja as string, render, specials) : barePrompt
}

/** Base and code models: the last words as they are. */
const barePrompt: PromptTemplate = {
  kind: 'none',
  thinkingTags: null,
  render: async ({ messages }) => messages.map((message) => message.content).join('\n\n'),
  holdCalls: null,
  parser: ({ format = false }) => new ThinkingAndCalls({ thinking: null, calls: null, trimStart: format }),
}

function goPrompt(source: string): PromptTemplate {
  const template = parseGoTemplate(source)
  const tags = template.thinkingTags()
  const layout = tags && { ...tags, trimAfterOpen: true, trimBeforeClose: false, trimAfterClose: true, keepLeading: true }
  return {
    kind: 'go',
    thinkingTags: isHarmony(source) ? thinkingTags(source) : tags,
    render: async (input) => template.render(input),
    get holdCalls() {
      return isHarmony(source) ? holdHarmonyCalls : (familyOf(source) ?? goForm(template)).holdCalls
    },
    parser({ tools, think, prompt, format = false }) {
      if (isHarmony(source)) return new HarmonyParser(tools)
      const opened = tags !== null && prompt.trimEnd().endsWith(tags.open)
      const thinking = layout !== null && think !== null && think !== false ? new ThinkingSplitter(layout, opened ? 'inside' : 'start') : null
      return new ThinkingAndCalls({ thinking, calls: goCallParser(source, template, tools, prompt), trimStart: format })
    },
  }
}

function goCallParser(source: string, template: GoTemplate, tools: Tool[], prompt: string): ReplyParser | null {
  const family = familyOf(source)
  if (tools.length === 0 && !marksReplies(family)) return null
  return family === null ? new GenericCallParser(template.toolCallTag(), tools) : new CallParser(family.format, tools, prompt)
}

/** The form of calls of a template that no family is known to use: as it renders one, else behind its tag. */
function goForm(template: GoTemplate): Pick<CallForm, 'holdCalls'> {
  const tag = template.toolCallTag()
  const isBare = tag === '{' || tag === '['
  const form = shownForm(template) ?? { holdCalls: holdJsonCalls({ open: isBare ? '' : tag, close: '', list: tag === '[' }) }
  // Behind a call that began with a mere bracket nothing is read as another one.
  return tag === '{' ? { holdCalls: (tools) => form.holdCalls(tools, { parallel: false }) } : form
}

function shownForm(template: GoTemplate): CallForm | null {
  try {
    const [call = '', words = ''] = [probes.call, probes.words].map((messages) => template.render({ messages, tools: [], think: null }))
    return inferForm(call, words)
  } catch (error) {
    if (error instanceof AppError) return null
    throw error
  }
}

function jinjaPrompt(source: string, render: RenderTemplate, specials: SpecialTexts): PromptTemplate {
  const tags = thinkingTags(source)
  const family = familyOf(source)
  let markup: ThinkingMarkup | null = null
  let form: CallForm = family ?? hermes
  return {
    kind: 'jinja',
    thinkingTags: tags,
    async render(input, signal) {
      if (isHarmony(source)) markup = harmonyMarkup
      else if (tags !== null) markup = (await markups.of(render, source, () => probeThinking(render, source, tags, specials, signal))) ?? tags
      if (family === null && !isHarmony(source) && input.tools.length > 0)
        form = (await inferred.of(render, source, () => probeCalls(render, source, specials, signal))) ?? hermes
      const prompt = await renderJinja(render, source, input, { ...specials, markup }, signal)
      return input.think === false && prefillOf(input.messages).thinking === '' ? closed(prompt, markup) : prompt
    },
    get holdCalls() {
      return isHarmony(source) ? holdHarmonyCalls : form.holdCalls
    },
    parser({ tools, prompt, messages = [], format: structured = false }) {
      if (isHarmony(source)) return continued(new HarmonyParser(tools, openChannel(messages)), prefillEvents(messages))
      const calls = tools.length === 0 && !marksReplies(family) ? null : new CallParser(form.format, tools, prompt)
      const used = markup ?? tags
      if (used === null) return new ThinkingAndCalls({ thinking: null, calls, prefill: prefillEvents(messages), trimStart: structured })
      const layout = layoutOf(used)
      const { state, lead } = beginning(prompt, layout, messages)
      return new ThinkingAndCalls({
        thinking: new ThinkingSplitter(layout, state),
        calls,
        prefill: prefillEvents(messages),
        lead: structured ? '' : lead,
        trimStart: structured,
      })
    },
  }
}

const markups = new TemplateFindings<ThinkingMarkup | null>()
const inferred = new TemplateFindings<CallForm | null>()

/** A template without a switch opens the block although nothing is to be thought: it is closed again, as llama.cpp's server does. */
function closed(prompt: string, markup: ThinkingMarkup | null): string {
  if (markup === null || !prompt.trimEnd().endsWith(markup.open.trim())) return prompt
  return prompt + (prompt.trimEnd() === prompt ? markup.close : markup.close.trimStart())
}

/** White space that the template writes around thinking is markup, any other is the model's own (as llama.cpp's server has it). */
function layoutOf({ open, close }: ThinkingMarkup): ThinkingLayout {
  return {
    open: open.trim(),
    close: close.trim(),
    trimAfterOpen: open.trimEnd() !== open,
    trimBeforeClose: close.trimStart() !== close,
    trimAfterClose: close.trimEnd() !== close,
    keepLeading: false,
  }
}

/** Where a reply begins: inside a block that the prompt has opened, behind one that it has closed (what follows it is the reply's), or before any. */
function beginning(
  prompt: string,
  { open, close, trimAfterClose }: ThinkingLayout,
  messages: Message[],
): { state: 'start' | 'inside' | 'content'; lead: string } {
  const { content, thinking } = prefillOf(messages)
  if (content !== '') return { state: 'content', lead: '' }
  if (thinking !== '') return { state: 'inside', lead: '' }
  const closed = prompt.lastIndexOf(close)
  if (prompt.trimEnd().endsWith(open)) return { state: 'inside', lead: '' }
  if (closed >= 0 && prompt.slice(closed + close.length).trim() === '')
    return { state: 'content', lead: trimAfterClose ? '' : prompt.slice(closed + close.length) }
  return { state: 'start', lead: '' }
}

function openChannel(messages: Message[]): '' | 'analysis' | 'final' {
  const { content, thinking } = prefillOf(messages)
  return content !== '' ? 'final' : thinking !== '' ? 'analysis' : ''
}

function continued(parser: ReplyParser, prefill: ReplyEvent[]): ReplyParser {
  return prefill.length === 0 ? parser : new ThinkingAndCalls({ thinking: null, calls: parser, prefill })
}

/** A continued reply is given whole, with what the caller wrote of it. */
function prefillEvents(messages: Message[]): ReplyEvent[] {
  const { content, thinking } = prefillOf(messages)
  const events: ReplyEvent[] = []
  if (thinking !== '') events.push({ type: 'thinking', text: thinking })
  if (content !== '') events.push({ type: 'text', text: content })
  return events
}
