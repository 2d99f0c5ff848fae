/** One step of making or moving a model, as the protocol shows it: clients draw a bar for each digest. */
export interface Progress {
  status: string
  digest?: string
  /** Bytes. */
  total?: number
  /** Bytes of `total`. */
  completed?: number
}
