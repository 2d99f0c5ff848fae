/** How fast a reply will be written. */
export interface SpeedPrediction {
  /** null where nothing is known of the device yet: the first reply there tells. */
  tokensPerSecond: number | null
  /** `measured`: by this model on this device; `learned`: by others there; `bandwidth`: from how fast the processor's memory is. */
  from: 'measured' | 'learned' | 'bandwidth' | null
}

/** Whether a model runs on this machine, with what context, what it takes and how fast it will be. */
export interface Fit {
  model: string
  /** All layers on GPUs, some of them, none, or no room for it. */
  verdict: 'gpu' | 'partly' | 'cpu' | 'none'
  /** Why there is no room, and what would help; null when there is. */
  problem: string | null
  /** Tokens that a request like this gets; null for a model that only embeds. */
  contextLength: number | null
  /** The longest context that fits; null as above, or when none does. */
  largestContextLength: number | null
  trainedContextLength: number
  layers: number
  gpuLayers: number
  /** Bytes. */
  memory: { weights: number; kvCache: number; compute: number; process: number; total: number }
  /** `planned` by llama.cpp itself, or `estimated` by formula where it makes no context for replies. */
  memoryFrom: 'planned' | 'estimated'
  devices: { name: string; neededBytes: number; freeBytes: number; totalBytes: number }[]
  speed: SpeedPrediction
}
