import path from 'node:path'
import koffi from 'koffi'

// Loaded into runner processes before anything else, on processors with AMX: llama.cpp then computes with its AVX-512 build
// for Ice Lake, whose arithmetic is that of the recordings to the last bit. AMX rounds otherwise and turns near ties.

type Load = typeof koffi.load
const load: Load = koffi.load.bind(koffi)

koffi.load = ((...given) => {
  const library = load(...given)
  const func = library.func.bind(library) as (declaration: string) => unknown
  const value = (declaration: string) => {
    if (!/\bggml_backend_load_all_from_path\b/.test(declaration)) return func(declaration)
    const loadOne = func('void *ggml_backend_load(const char *file)') as (file: string) => unknown
    return (folder: string) => loadOne(path.join(folder, 'libggml-cpu-icelake.so'))
  }
  return Object.defineProperty(library, 'func', { value })
}) as Load
