import { jsonGrammar, schemaToGrammar, withLeadingSpace } from '../prompt/json-schema/grammar.ts'
import type { Tool } from '../prompt/messages.ts'
import type { PromptTemplate } from '../prompt/template.ts'
import { toolGrammar } from '../prompt/tool-grammar.ts'
import type { Grammar } from '../runtime/protocol.ts'
import type { ChatRequest, Format, ToolChoice } from './events.ts'
import type { ResolvedOptions } from './options.ts'

/** Tags of a thinking block that may stand before a reply; `opened` by the prompt already. */
export interface ThinkingBlock {
  open: string
  close: string
  opened: boolean
}

/**
 * What holds a structured reply, once it is known whether thinking may come first; null for a free reply.
 *
 * Throws `invalid-request` naming the keyword of a schema that cannot be honoured, before anything is loaded.
 */
export function replyGrammar(options: ResolvedOptions, format: Format | null): ((thinking: ThinkingBlock | null) => Grammar) | null {
  const given = options.grammar ?? (format?.type === 'grammar' ? format.gbnf : null)
  if (given !== null) return (thinking) => ({ gbnf: given, begin: begin(thinking) })
  if (format === null || format.type === 'grammar') return null
  const gbnf = format.type === 'json' ? jsonGrammar : schemaToGrammar(format.schema)
  return (thinking) => ({ gbnf: thinking ? withLeadingSpace(gbnf) : gbnf, begin: begin(thinking) })
}

/** True where the reply must be a call, whatever its answer was to look like. */
export function demandsCall(choice: ToolChoice): boolean {
  return choice !== 'auto' && choice !== 'none'
}

/** Holds calls to the declared tools: from the first token when one must be called, else from where the model begins one. */
export function callGrammar(
  template: PromptTemplate,
  tools: Tool[],
  { toolChoice: choice, parallelCalls: parallel = true }: Pick<ChatRequest, 'toolChoice' | 'parallelCalls'>,
  thinking: ThinkingBlock | null,
): Grammar | null {
  if (template.holdCalls === null || tools.length === 0) return null
  const forced = demandsCall(choice)
  const found = toolGrammar(template.holdCalls, tools, { only: typeof choice === 'object' ? choice.name : null, parallel, forced })
  if (found === null) return null
  const { gbnf, trigger, thinking: around } = found
  if (!forced) return { gbnf, begin: { kind: 'on-trigger', patterns: [trigger] } }
  return thinking ? { gbnf: withLeadingSpace(gbnf), begin: begin({ ...thinking, ...around }) } : { gbnf, begin: begin(null) }
}

function begin(thinking: ThinkingBlock | null): Grammar['begin'] {
  return thinking ? { kind: 'after-thinking', ...thinking } : { kind: 'start' }
}
