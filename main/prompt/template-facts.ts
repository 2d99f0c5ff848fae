import { AppError } from '../errors.ts'
import { parseGoTemplate } from './go.ts'
import { thinkingTags } from './thinking-tags.ts'

/** What a model's templates say that it can do, and which of them is to be used. */
export interface TemplateFacts {
  selected: 'go' | 'jinja' | 'none'
  tools: boolean
  thinking: boolean
  insert: boolean
}

/** Which template is used, and what it exposes (ollama-api §5.4, §7.1); a Go template that does not parse exposes nothing. */
export function inspectTemplates(go: string | null, jinja: string | null, preferGo: boolean | null = null): TemplateFacts {
  const ofGo = go === null || go.trim() === '' ? null : goFacts(go)
  const ofJinja = jinja === null || jinja.trim() === '' ? null : jinjaFacts(jinja)
  if (ofGo === null && ofJinja === null) return { selected: 'none', tools: false, thinking: false, insert: false }
  const selected = ofJinja === null ? 'go' : ofGo === null ? 'jinja' : (preferGo ?? !isBetter(ofJinja, ofGo)) ? 'go' : 'jinja'
  const { tools, thinking, insert } = (selected === 'go' ? ofGo : ofJinja) as Exposed
  return { selected, tools, thinking, insert }
}

interface Exposed {
  tools: boolean
  thinking: boolean
  insert: boolean
  /** How much of a tool's round trip it renders: the assistant's calls, the tool's results. */
  roundTrip: number
}

function goFacts(go: string): Exposed {
  try {
    const template = parseGoTemplate(go)
    const { calls, results } = template.toolRoundTrip()
    return { tools: template.usesTools, thinking: template.thinkingTags() !== null, insert: template.usesSuffix, roundTrip: Number(calls) + Number(results) }
  } catch (error) {
    if (error instanceof AppError) return { tools: false, thinking: false, insert: false, roundTrip: 0 }
    throw error
  }
}

function jinjaFacts(jinja: string): Exposed {
  const results = /['"]tool['"]|tool_call_id|tool_response/.test(jinja)
  return {
    tools: /\b(?:xml_|python_)?tools\b|tool_call/.test(jinja),
    thinking: thinkingTags(jinja) !== null,
    insert: false,
    roundTrip: Number(jinja.includes('tool_calls')) + Number(results),
  }
}

function isBetter(jinja: Exposed, go: Exposed): boolean {
  const keeps = (jinja.tools || !go.tools) && (jinja.thinking || !go.thinking) && (jinja.insert || !go.insert) && jinja.roundTrip >= go.roundTrip
  const adds = (jinja.tools && !go.tools) || (jinja.thinking && !go.thinking)
  return keeps && (adds || (jinja.tools && jinja.roundTrip > go.roundTrip))
}

/** What the template engine has against a Go template; null when it is good. */
export function templateProblem(text: string): string | null {
  try {
    parseGoTemplate(text)
    return null
  } catch (error) {
    if (error instanceof AppError) return error.message
    throw error
  }
}
