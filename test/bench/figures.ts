/** One row of the table: ours beside a reference, and the budget it is held to (design, "Budgets"). */
export interface Figure {
  name: string
  unit: string
  ours: number
  /** What ours is compared with; null for a figure that has a bound of its own. */
  reference: { name: string; value: number } | null
  budget: {
    /** `ratio`: ours / reference at least this. `share`: at most this part of the reference. `atMost`: ours itself. */
    kind: 'ratio' | 'share' | 'atMost'
    bound: number
  }
  /** Every single measurement, for the page. */
  samples: Record<string, number[]>
  note?: string
}

export const ratio = ({ ours, reference }: Figure) => (reference === null ? null : ours / reference.value)

export function isMet(figure: Figure): boolean {
  const { kind, bound } = figure.budget
  switch (kind) {
    case 'ratio':
      return (ratio(figure) ?? 0) >= bound
    case 'share':
      return (ratio(figure) ?? Number.POSITIVE_INFINITY) <= bound
    case 'atMost':
      return figure.ours <= bound
    default:
      return kind satisfies never
  }
}

/** What a measurement may use; each gives the figures it could measure. */
export interface Bench {
  threads: number
  rounds: number
  quick: boolean
  /** llama.cpp's tools, where they are given. */
  tools: { bench: string | null; batchedBench: string | null; server: string | null }
  /** Address of another server that speaks the native protocol and has `smollm2:135m` and `all-minilm`. */
  peer: string | null
  models: { smollm: string; cria: string; minilm: string; large: string }
  say: (text: string) => void
}

export interface Measurement {
  name: string
  about: string
  measure: (bench: Bench) => Promise<Figure[]>
}
