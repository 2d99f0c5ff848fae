import { harmonyMarkup } from '../prompt/parsers/harmony.ts'
import type { PromptTemplate } from '../prompt/template.ts'
import type { ThinkingLimit } from '../runtime/protocol.ts'

/** Qwen's documented words for a model whose time to think is over (Qwen3, "Thinking Budget"); other models go on from them as well. */
const transition = 'Considering the limited time by the user, I have to give the solution based on the thinking directly now.'

/**
 * How the runner bounds the thinking of a reply to `prompt`; null where it need not, or where the template has no marks for it.
 *
 * @param callable the reply may call a tool, so Harmony's next channel is the model's to choose
 */
export function thinkingLimit(template: PromptTemplate, tokens: number | null, prompt: string, callable: boolean): ThinkingLimit | null {
  const tags = template.thinkingTags
  if (tokens === null || tags === null) return null
  const words = tokens === 0 ? '\n' : `\n\n${transition}\n`
  const shared = { tokens, open: tags.open, opened: prompt.trimEnd().endsWith(tags.open) }
  if (tags.open !== harmonyMarkup.open) return { ...shared, end: tags.close, anywhere: false, closings: [words + tags.close] }
  const toFinal = words + harmonyMarkup.close
  return { ...shared, end: '<|end|>', anywhere: true, closings: callable ? [`${words}<|end|><|start|>assistant`, toFinal] : [toFinal] }
}
