export type GgufScalar = number | string | boolean

/** `values` is null where the array was only counted. */
export interface GgufArray {
  type: GgufType
  length: number
  values: GgufScalar[] | null
}

export type GgufValue = GgufScalar | GgufArray

export interface GgufTensor {
  name: string
  /** `Q4_K`, `F32`, … */
  type: string
  /** Innermost dimension first. */
  shape: number[]
  /** From the start of the data. */
  offset: number
  sizeBytes: number
}

/** What stands before the weights of a GGUF file. Integers beyond 2^53 are rounded. */
export interface GgufHeader {
  version: number
  metadata: ReadonlyMap<string, GgufValue>
  tensors: GgufTensor[]
  alignment: number
  /** Where the tensors' data begins in the file. */
  dataOffset: number
  /** Of the whole file. */
  sizeBytes: number
  /** `llama`, `bert`, `clip`, … */
  architecture: string
  /** `general.type`: `model`, `adapter`, `mmproj`; null where it is not said. */
  type: string | null
  parameterCount: number
  /** llama.cpp's `general.file_type`. */
  fileType: number | null
  /** Trained length in tokens. */
  contextLength: number | null
  embeddingLength: number | null
  blockCount: number | null
  /** Where layers differ, the largest. */
  headCount: number | null
  headCountKv: number | null
  keyLength: number | null
  valueLength: number | null
  /** Tokens that a layer with a sliding window looks back. */
  slidingWindow: number | null
  vocabularySize: number | null
  /** The file's own Jinja template. */
  chatTemplate: string | null
  /** Further templates by name: `tool_use`, … */
  namedTemplates: Record<string, string>
  /** Present on embedding models; llama.cpp's number. */
  poolingType: number | null
  /** Files that a split model consists of; 1 when it is whole. */
  splitCount: number
  /** Which of them this file is, from 0; parts after the first carry only their tensors and have no architecture (''). */
  splitIndex: number
}

export type GgufType = 'uint8' | 'int8' | 'uint16' | 'int16' | 'uint32' | 'int32' | 'float32' | 'bool' | 'string' | 'uint64' | 'int64' | 'float64'
