import koffi from 'koffi'
import type { Pointer, Struct } from './abi.ts'
import type { Library } from './library.ts'

interface TypedArray<T> {
  new (buffer: ArrayBuffer, offset: number, length: number): T
  readonly BYTES_PER_ELEMENT: number
}

export interface Pinned<T> {
  readonly array: T
  readonly address: Pointer
}

/** Memory of ours that C may keep a pointer to. V8 moves small typed arrays that are made without a buffer of their own; it never moves this. */
export function pinned<T extends ArrayBufferView>(Type: TypedArray<T>, length: number): Pinned<T> {
  const array = new Type(new ArrayBuffer(Math.max(64, length * Type.BYTES_PER_ELEMENT)), 0, length)
  return { array, address: koffi.address(array) }
}

/** Floats of C's memory: a view that the next decode invalidates, or a copy where views are forbidden. */
export function floats({ views }: Library, address: Pointer, length: number): Float32Array {
  if (views) return new Float32Array(koffi.view(address, length * 4))
  return koffi.decode(address, koffi.array('float', length, 'Typed'))
}

/** One number of C's memory. */
export function int32At(address: Pointer, offset: number): number {
  return koffi.decode(address, offset, 'int32')
}

/** What one decode evaluates: a list of tokens with their places, in our memory. */
export class Batch {
  readonly capacity: number
  /** As C takes it by value. */
  readonly c: Struct<'llama_batch'>
  readonly #token: Pinned<Int32Array>
  readonly #position: Pinned<Int32Array>
  readonly #sequence: Pinned<Int32Array>
  readonly #output: Pinned<Int8Array>
  /** Kept alive for C: how many sequences each token has (one), and where they stand. */
  readonly #counts: Pinned<Int32Array>
  readonly #places: Pinned<BigUint64Array>

  constructor(capacity: number) {
    this.capacity = capacity
    this.#token = pinned(Int32Array, capacity)
    this.#position = pinned(Int32Array, capacity)
    this.#sequence = pinned(Int32Array, capacity)
    this.#output = pinned(Int8Array, capacity)
    this.#counts = pinned(Int32Array, capacity)
    this.#places = pinned(BigUint64Array, capacity + 1)
    this.#counts.array.fill(1)
    for (let i = 0; i < capacity; i++) this.#places.array[i] = this.#sequence.address + BigInt(i * 4)
    this.c = {
      n_tokens: 0,
      token: this.#token.address,
      embd: null,
      pos: this.#position.address,
      n_seq_id: this.#counts.address,
      seq_id: this.#places.address,
      logits: this.#output.address,
    }
  }

  get size(): number {
    return this.c.n_tokens
  }

  get room(): number {
    return this.capacity - this.c.n_tokens
  }

  clear(): void {
    this.c.n_tokens = 0
  }

  /** Gives the row of the token, by which its output is asked for. */
  add(token: number, position: number, sequence: number, output: boolean): number {
    const row = this.c.n_tokens
    if (row >= this.capacity) throw new Error('the batch is full')
    this.#token.array[row] = token
    this.#position.array[row] = position
    this.#sequence.array[row] = sequence
    this.#output.array[row] = output ? 1 : 0
    this.c.n_tokens = row + 1
    return row
  }
}

/** Stops a decode that runs on another thread. */
export class AbortFlag {
  readonly #bytes = new Uint8Array(new SharedArrayBuffer(64))

  /**
   * llama.cpp asks a callback between the operations of a decode. It gets the C library's `strlen` with our byte as the text, which is non-zero exactly
   * when the byte is: no JavaScript runs.
   */
  constructor({ c }: Library, context: Pointer) {
    const file = { darwin: 'libSystem.B.dylib', win32: 'ucrtbase.dll' }[process.platform as string] ?? 'libc.so.6'
    c.llama_set_abort_callback(context, koffi.load(file).symbol('strlen'), koffi.address(this.#bytes))
  }

  set(on: boolean): void {
    Atomics.store(this.#bytes, 0, on ? 1 : 0)
  }
}
