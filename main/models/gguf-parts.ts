import path from 'node:path'
import { type ReadOptions, readGguf } from './gguf.ts'
import type { GgufHeader } from './gguf-header.ts'
import { invalid } from './gguf-reader.ts'

/** A part's file name, as llama.cpp's `llama-gguf-split` writes it. */
const partPattern = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i

export interface PartName {
  /** What all parts share. */
  stem: string
  /** From 0. */
  index: number
  count: number
}

/** `qwen-00001-of-00003.gguf` as what it says; null for the name of a whole file. */
export function parsePartName(file: string): PartName | null {
  const [, stem, index, count] = partPattern.exec(file) ?? []
  if (stem === undefined || Number(index) < 1 || Number(index) > Number(count)) return null
  return { stem, index: Number(index) - 1, count: Number(count) }
}

/** The file name of a part; `index` counts from 0. */
export function partName(stem: string, index: number, count: number): string {
  const digits = (number: number) => String(number).padStart(5, '0')
  return `${stem}-${digits(index + 1)}-of-${digits(count)}.gguf`
}

/** The header of a model that lies in one file or in several, given in their order. Throws `invalid-model` naming a part that is out of place. */
export async function readGgufParts(files: readonly string[], options?: ReadOptions): Promise<GgufHeader> {
  const headers: GgufHeader[] = []
  for (const file of files) headers.push(await readGguf(file, options))
  return joinHeaders(headers, files)
}

/** One header for all parts: the keys of the first, the tensors and the size of all. Offsets of tensors stay those within their files. */
export function joinHeaders(headers: readonly GgufHeader[], files: readonly string[]): GgufHeader {
  const [first] = headers
  if (first === undefined) throw invalid('a model needs a file')
  const name = (i: number) => path.basename(files[i] ?? '')
  if (headers.length !== first.splitCount) {
    const which = first.splitIndex > 0 || first.splitCount > 1 ? `part ${first.splitIndex + 1} of ${first.splitCount}` : 'a whole file'
    throw invalid(`${name(0)} is ${which}, but ${headers.length === 1 ? 'stands alone' : `${headers.length} files were given`}`)
  }
  for (const [i, { splitIndex, splitCount }] of headers.entries()) {
    if (splitIndex !== i || splitCount !== headers.length) {
      throw invalid(`${name(i)} is part ${splitIndex + 1} of ${splitCount}, not part ${i + 1} of ${headers.length}`)
    }
  }
  if (headers.length === 1) return first

  const tensors = headers.flatMap((header) => header.tensors)
  const announced = first.metadata.get('split.tensors.count')
  if (tensors.length === 0 || (typeof announced === 'number' && announced !== tensors.length)) {
    throw invalid(`the ${headers.length} parts of ${name(0)} hold ${tensors.length} tensors, not ${String(announced ?? 'some')}`)
  }
  const names = new Set(tensors.map((tensor) => tensor.name))
  if (names.size !== tensors.length) throw invalid(`a tensor stands in two of the ${headers.length} parts of ${name(0)}`)
  const sum = (of: (header: GgufHeader) => number) => headers.reduce((total, header) => total + of(header), 0)
  return { ...first, tensors, sizeBytes: sum(({ sizeBytes }) => sizeBytes), parameterCount: sum(({ parameterCount }) => parameterCount) }
}
