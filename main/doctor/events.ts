export interface CheckResult {
  id: string
  title: string
  status: 'passed' | 'failed' | 'not-applicable'
  /** The model's capabilities promise it. */
  claimed: boolean
  /** Why it failed or does not apply; '' when it passed. */
  reason: string
  /** The reply in short: thinking, text and calls. */
  evidence: string
  totalMs: number
}

export interface Diagnosis {
  model: string
  passed: number
  failed: number
  notApplicable: number
  /** Failed ones that the model's capabilities promise. */
  broken: string[]
}

export type DoctorEvent =
  /** The weights are being read; fraction 0 to 1. */
  | { type: 'load'; fraction: number }
  | { type: 'check'; id: string; title: string; index: number; count: number }
  | { type: 'result'; result: CheckResult }
  /** Always the last. */
  | { type: 'summary'; diagnosis: Diagnosis }
