/** Element types that the generator writes: ggml's number, elements and bytes of a block, `general.file_type`. */
export const weightTypes = {
  f32: { id: 0, block: 1, bytes: 4, fileType: 0 },
  f16: { id: 1, block: 1, bytes: 2, fileType: 1 },
  q4_0: { id: 2, block: 32, bytes: 18, fileType: 2 },
  q8_0: { id: 8, block: 32, bytes: 34, fileType: 7 },
} as const
export type WeightType = keyof typeof weightTypes

/** Uniform numbers from 0 to 1 that a seed repeats (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

const scratch = new DataView(new ArrayBuffer(4))

/** IEEE half of a finite number that a half can hold, rounded towards zero. */
export function toHalf(value: number): number {
  scratch.setFloat32(0, value)
  const bits = scratch.getUint32(0)
  const sign = (bits >>> 16) & 0x8000
  const exponent = ((bits >>> 23) & 0xff) - 112
  if (exponent <= 0) return exponent < -10 ? sign : sign | (((bits & 0x7fffff) | 0x800000) >>> (14 - exponent))
  return sign | (exponent << 10) | ((bits >>> 13) & 0x3ff)
}

/**
 * Noise of the given standard deviation in one of the storage formats.
 *
 * A pool of blocks is drawn once and written again from a random start for each tensor: making four gigabytes of numbers
 * one by one would take minutes, and a model of noise is as good with repeats.
 */
export class Noise {
  readonly #next: () => number
  readonly #pools = new Map<string, Uint8Array>()

  constructor(seed: number) {
    this.#next = random(seed)
  }

  *chunks(elements: number, type: WeightType, deviation: number): Iterable<Uint8Array> {
    yield* this.rows([true], elements, type, deviation)
  }

  /** Rows of so many elements each; those that are not `chosen` are zeros, so that their logit never leads. */
  *rows(chosen: readonly boolean[], elements: number, type: WeightType, deviation: number): Iterable<Uint8Array> {
    const { block, bytes } = weightTypes[type]
    const pool = this.#pool(type, deviation, bytes, block)
    const rowBytes = (elements / block) * bytes
    let start = Math.floor(this.#next() * (pool.length / bytes)) * bytes
    for (const filled of chosen) {
      if (!filled) {
        yield new Uint8Array(rowBytes)
        continue
      }
      for (let left = rowBytes; left > 0; ) {
        const chunk = pool.subarray(start, Math.min(pool.length, start + left))
        yield chunk
        left -= chunk.length
        start = (start + chunk.length) % pool.length
      }
    }
  }

  #pool(type: WeightType, deviation: number, bytes: number, block: number): Uint8Array {
    const name = `${type} ${deviation}`
    const known = this.#pools.get(name)
    if (known) return known
    // A prime number, so that rows which wrap around never begin at the same place: two equal rows would be two equal logits.
    const blocks = block === 1 ? 1_048_573 : 32_749
    const pool = new Uint8Array(blocks * bytes)
    const view = new DataView(pool.buffer)
    for (let index = 0; index < blocks; index++) this.#fill(view, index * bytes, type, deviation, bytes)
    this.#pools.set(name, pool)
    return pool
  }

  #fill(view: DataView, at: number, storage: WeightType, deviation: number, bytes: number): void {
    switch (storage) {
      case 'f32':
        view.setFloat32(at, this.#normal() * deviation, true)
        return
      case 'f16':
        view.setUint16(at, toHalf(this.#normal() * deviation), true)
        return
      // A half as the scale, then uniform quanta: -8 to 7 (deviation 4.61), -128 to 127 (deviation 73.9).
      case 'q4_0':
      case 'q8_0':
        view.setUint16(at, toHalf(deviation / (storage === 'q4_0' ? 4.61 : 73.9)), true)
        for (let offset = 2; offset < bytes; offset++) view.setUint8(at + offset, this.#next() * 256)
        return
      default:
        storage satisfies never
    }
  }

  /** Sum of uniforms: near enough to a normal distribution, and bounded. */
  #normal(): number {
    let sum = -6
    for (let i = 0; i < 12; i++) sum += this.#next()
    return sum
  }
}
