/** A compute device of one build of the runtime. */
export interface Device {
  /** llama.cpp's name: CPU, CUDA0, Vulkan0, Metal. */
  name: string
  description: string
  kind: 'cpu' | 'gpu' | 'igpu' | 'accel'
  freeBytes: number
  totalBytes: number
}
