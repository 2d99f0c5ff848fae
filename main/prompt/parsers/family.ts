import type { Tool } from '../messages.ts'
import type { CallFormat } from './calls.ts'

/** A grammar of tool calls, and the text from which on it holds when the model is free to call or not. */
export interface ToolGrammar {
  gbnf: string
  /** Regular expression whose first group is where the grammar begins. */
  trigger: string
  /** What thinking before the calls stands between, where that is not what stands around thinking before an answer. */
  thinking?: { open: string; close: string }
}

/**
 * A grammar that holds calls to the declared names and schemas; `parallel: false` allows one call only.
 *
 * Throws `invalid-request` for a schema that no grammar can honour.
 */
export type HoldCalls = (tools: readonly Tool[], options: { parallel: boolean }) => ToolGrammar

/** Models that write their tool calls in one way. */
export interface Family {
  name: string
  /** By markers in the template's own text. */
  owns(template: string): boolean
  format: CallFormat
  holdCalls: HoldCalls
}
