import { AppError } from '../errors.ts'
import { Budget } from './go-template/budget.ts'
import { cutAtResponse } from './go-template/cut.ts'
import { execute } from './go-template/executor.ts'
import { findThinkingTags, findToolCallTag, type ThinkingTags } from './go-template/facts.ts'
import type { TemplateFunction } from './go-template/functions.ts'
import type { ListNode } from './go-template/nodes.ts'
import { templateFunctions } from './go-template/ollama-functions.ts'
import { parseTemplate, type Templates } from './go-template/parser.ts'
import { GoMap, type Value } from './go-template/values.ts'
import { messageList, thinkVariables, toolList } from './go-template/variables.ts'
import { usedNames } from './go-template/walk.ts'
import type { Message, RenderInput } from './messages.ts'

/** What a rendering may cost besides its share for the input: about a second of one core. */
const baseSteps = 2_000_000
const stepsPerMessage = 2_000
const baseBytes = 16 * 1024 * 1024
const bytesPerByte = 8

const responseNode = { kind: 'field', pos: 0, names: ['Response'] } as const

/**
 * Parses a template as Ollama's Modelfiles have it.
 *
 * Throws an AppError `invalid-template` with the text of Go's parser.
 *
 * @param now the clock of `currentDate`
 */
export function parseGoTemplate(text: string, now: () => Date = () => new Date()): GoTemplate {
  return new GoTemplate(text, templateFunctions(now))
}

/** A chat template in Go's language: renders conversations, and says what it can express. */
export class GoTemplate {
  readonly text: string
  /** Renders `.Messages`; one that does not is walked turn by turn (`ollama-api §7.2`). */
  readonly usesMessages: boolean
  readonly usesTools: boolean
  /** Fill in the middle. */
  readonly usesSuffix: boolean
  readonly #functions: ReadonlyMap<string, TemplateFunction>
  readonly #templates: Templates
  readonly #root: ListNode
  readonly #names: ReadonlySet<string>
  #roundTrip: ToolRoundTrip | null = null

  constructor(text: string, functions: ReadonlyMap<string, TemplateFunction>) {
    this.text = text
    this.#functions = functions
    this.#templates = parseTemplate(text, (name) => functions.has(name))
    this.#root = this.#templates.get('') as ListNode
    this.#names = usedNames(this.#templates)
    this.usesMessages = this.uses('Messages')
    this.usesTools = this.uses('Tools')
    this.usesSuffix = this.uses('Suffix')
    if (!this.usesMessages && !this.uses('Response')) this.#root.nodes.push(responseAction())
  }

  /** True when the template reads a field or variable of this name, in any letter case. */
  uses(name: string): boolean {
    return this.#names.has(name.toLowerCase())
  }

  /** What the template writes around thinking (`ollama-api §7.6`), null when it knows none. */
  thinkingTags(): ThinkingTags | null {
    return findThinkingTags(this.#root)
  }

  /** What a tool call begins with (`ollama-api §7.7`); `{` when the template does not say. */
  toolCallTag(): string {
    return findToolCallTag(this.#root)
  }

  /** Whether the calls of an assistant and the results of tools reach the prompt, found by rendering some. */
  toolRoundTrip(): ToolRoundTrip {
    this.#roundTrip ??= this.usesTools ? this.#probeRoundTrip() : { calls: false, results: false }
    return this.#roundTrip
  }

  /** The prompt. Throws an AppError `invalid-template` when the template fails on this input or costs too much. */
  render(input: RenderInput): string {
    try {
      return this.#render(input, budgetFor(input.messages))
    } catch (error) {
      // The only way here is nesting that a client sent, in a tool's schema or arguments.
      if (error instanceof RangeError) throw new AppError('invalid-request', 'tools or tool calls are nested too deeply', { cause: error })
      throw error
    }
  }

  #render(input: RenderInput, budget: Budget): string {
    const think = thinkVariables(input.think)
    const prompt = input.messages.findLast((message) => message.role === 'user')?.content ?? ''
    const suffix = input.suffix ?? ''
    if (prompt !== '' && suffix !== '') return this.#execute(this.#root, [['Prompt', prompt], ['Suffix', suffix], ['Response', ''], ...think], budget)
    const messages = mergeSameRole(input.messages)
    if (!this.usesMessages) return this.#renderTurns(messages, think, budget)
    const system = input.messages.filter((message) => message.role === 'system').map((message) => message.content)
    const variables: [string, Value][] = [
      ['System', system.join('\n\n')],
      ['Messages', messageList(messages)],
      ['Tools', toolList(input.tools)],
      ['Response', ''],
    ]
    return this.#execute(this.#root, [...variables, ...think], budget)
  }

  /** One execution a turn; the last one stops where the model's reply is to begin. */
  #renderTurns(messages: Message[], think: [string, Value][], budget: Budget): string {
    let text = ''
    let turn = { System: '', Prompt: '', Response: '' }
    const flush = (root: ListNode) => {
      text += this.#execute(root, [...Object.entries(turn), ...think], budget)
      turn = { System: '', Prompt: '', Response: '' }
    }
    for (const { role, content } of messages) {
      if (role === 'system') {
        if (turn.Prompt !== '' || turn.Response !== '') flush(this.#root)
        turn.System = content
      } else if (role === 'user') {
        if (turn.Response !== '') flush(this.#root)
        turn.Prompt = content
      } else if (role === 'assistant') {
        turn.Response = content
      }
    }
    flush(cutAtResponse(this.#root))
    return text
  }

  #execute(root: ListNode, variables: [string, Value][], budget: Budget): string {
    const templates = new Map(this.#templates).set('', root)
    const data = new GoMap('map[string]interface {}', new Map(variables))
    return execute({ text: this.text, templates, functions: this.#functions }, data, budget)
  }

  #probeRoundTrip(): ToolRoundTrip {
    const messages: Message[] = [
      { role: 'user', content: 'question' },
      { role: 'assistant', content: '', toolCalls: [{ id: 'probe', index: 0, name: 'probe_call', arguments: {} }] },
      { role: 'tool', content: 'probe_result', toolName: 'probe_call', toolCallId: 'probe' },
    ]
    try {
      const prompt = this.render({ messages, tools: [], think: null })
      return { calls: prompt.includes('probe_call'), results: prompt.includes('probe_result') }
    } catch (error) {
      // A template that fails on a tool's turn cannot carry one.
      if (error instanceof AppError) return { calls: false, results: false }
      throw error
    }
  }
}

/** Which halves of a tool's round trip a template renders. */
export interface ToolRoundTrip {
  calls: boolean
  results: boolean
}

/** Neighbours of one role become one message, but for results of tools; what is not text comes from the first. */
function mergeSameRole(messages: Message[]): Message[] {
  const merged: Message[] = []
  for (const message of messages) {
    const previous = merged.at(-1)
    if (previous?.role === message.role && message.role !== 'tool') previous.content += `\n\n${message.content}`
    else merged.push({ ...message })
  }
  return merged
}

function responseAction() {
  const command = { kind: 'command' as const, pos: 0, args: [{ ...responseNode, names: [...responseNode.names] }] }
  return { kind: 'action' as const, pos: 0, pipe: { kind: 'pipe' as const, pos: 0, declared: [], isAssign: false, commands: [command] } }
}

function budgetFor(messages: Message[]): Budget {
  const content = messages.reduce((sum, message) => sum + message.content.length + (message.thinking?.length ?? 0), 0)
  return new Budget({ steps: baseSteps + stepsPerMessage * messages.length, bytes: baseBytes + bytesPerByte * content })
}
