import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import koffi from 'koffi'
import { expect, test } from 'vitest'
import * as abi from '../../../../main/runtime/llama/abi.ts'
import { libraryNames, loadLibrary, platformBuild } from '../../../../main/runtime/llama/library.ts'
import { hasLlamaSource, llamaSourceFile } from '../../../helpers/llama-source.ts'
import { temporaryFolder } from '../../../helpers/temporary-folder.ts'

const run = promisify(execFile)
const library = loadLibrary(platformBuild())
const headers = ['include/llama.h', ...['ggml.h', 'ggml-cpu.h', 'ggml-backend.h', 'ggml-alloc.h', 'ggml-opt.h', 'gguf.h'].map((name) => `ggml/include/${name}`)]

const possible =
  (await hasLlamaSource()) &&
  process.platform !== 'win32' &&
  (await run('gcc', ['--version']).then(
    () => true,
    () => false,
  ))
if (!possible) console.log('left out: the layouts of llama.cpp are not compared with its headers, as git, gcc or the source bundle is missing')

/** Functions that give the default value of a struct. */
const defaults: Partial<Record<abi.StructName, string>> = {
  llama_model_params: 'llama_model_default_params()',
  llama_context_params: 'llama_context_default_params()',
  llama_model_quantize_params: 'llama_model_quantize_default_params()',
  llama_sampler_chain_params: 'llama_sampler_chain_default_params()',
  ggml_threadpool_params: 'ggml_threadpool_params_default(3)',
}

/** A program that prints sizes, offsets, defaults and enum values as the headers have them. */
function program(): string {
  const lines: string[] = []
  const print = (name: string, value: string) => lines.push(`printf("\\"${name}\\": %.17g,\\n", (double)(${value}));`)
  for (const [name, fields] of Object.entries(abi.structs)) {
    // Some are declared with a typedef of the same name, some without.
    const type = /^(llama_batch|llama_token_data|llama_token_data_array|llama_logit_bias|llama_sampler_chain_params|llama_model_quantize_params)$/.test(name)
      ? name
      : `struct ${name}`
    print(`${name}`, `sizeof(${type})`)
    for (const field of Object.keys(fields)) print(`${name}.${field}`, `offsetof(${type}, ${field})`)
    const value = defaults[name as abi.StructName]
    if (value === undefined) continue
    lines.push(`{ ${type} value = ${value};`)
    for (const [field, kind] of Object.entries(fields)) {
      if (!kind.includes('[')) print(`${name}.${field} by default`, kind === 'void *' ? `value.${field} != NULL` : `value.${field}`)
    }
    lines.push('}')
  }
  for (const [name, value] of Object.entries(enums())) print(name, value.constant)
  return `#include "llama.h"\n#include "ggml-cpu.h"\n#include <stddef.h>\n#include <stdio.h>\nint main(void) { printf("{");\n${lines.join('\n')}\nprintf("\\"end\\": 0}"); return 0; }\n`
}

function enums(): Record<string, { constant: string; value: number }> {
  const all: [string, number][] = [
    ['LLAMA_LOAD_MODE_AUTO', abi.loadMode.auto],
    ['LLAMA_LOAD_MODE_NONE', abi.loadMode.read],
    ['LLAMA_LOAD_MODE_MMAP', abi.loadMode.map],
    ['LLAMA_LOAD_MODE_MLOCK', abi.loadMode.lock],
    ['LLAMA_LOAD_MODE_MMAP_MLOCK', abi.loadMode.mapAndLock],
    ...Object.entries(abi.pooling).map(([name, value]): [string, number] => [`LLAMA_POOLING_TYPE_${name.toUpperCase()}`, value]),
    ['LLAMA_FLASH_ATTN_TYPE_AUTO', abi.flashAttention.auto],
    ['LLAMA_FLASH_ATTN_TYPE_DISABLED', abi.flashAttention.off],
    ['LLAMA_FLASH_ATTN_TYPE_ENABLED', abi.flashAttention.on],
    ...abi.deviceKinds.map((name, value): [string, number] => [`GGML_BACKEND_DEVICE_TYPE_${name.toUpperCase()}`, value]),
    ...Object.entries(abi.kvCacheTypes).map(([name, value]): [string, number] => [`GGML_TYPE_${name.toUpperCase()}`, value]),
    ...Object.entries(abi.fileTypes).map(([name, value]): [string, number] => [`LLAMA_FTYPE_${name === 'F32' ? 'ALL' : 'MOSTLY'}_${name}`, value]),
    ['GGML_LOG_LEVEL_INFO', abi.logLevel.info],
    ['GGML_LOG_LEVEL_WARN', abi.logLevel.warn],
    ['GGML_LOG_LEVEL_ERROR', abi.logLevel.error],
    ['GGML_LOG_LEVEL_CONT', abi.logLevel.continued],
  ]
  return Object.fromEntries(all.map(([name, value]) => [`enum ${name}`, { constant: name, value }]))
}

/** The same figures as the bindings have them. */
function bound(): Record<string, number> {
  const figures: Record<string, number> = { end: 0 }
  for (const [name, fields] of Object.entries(abi.structs)) {
    figures[name] = koffi.sizeof(name)
    for (const field of Object.keys(fields)) figures[`${name}.${field}`] = koffi.offsetof(name, field)
  }
  const values: Partial<Record<abi.StructName, Record<string, unknown>>> = {
    llama_model_params: library.c.llama_model_default_params(),
    llama_context_params: library.c.llama_context_default_params(),
    llama_model_quantize_params: library.c.llama_model_quantize_default_params(),
    llama_sampler_chain_params: library.c.llama_sampler_chain_default_params(),
    ggml_threadpool_params: library.c.ggml_threadpool_params_default(3),
  }
  for (const [name, value] of Object.entries(values)) {
    for (const [field, kind] of Object.entries(abi.structs[name as abi.StructName])) {
      if (!kind.includes('[')) figures[`${name}.${field} by default`] = kind === 'void *' ? Number(value[field] !== null) : Number(value[field])
    }
  }
  for (const [name, { value }] of Object.entries(enums())) figures[name] = value
  return figures
}

test.runIf(possible)('layouts, defaults and enums are those of the headers', { timeout: 60_000 }, async () => {
  const [llama, , ...others] = await Promise.all(headers.map(llamaSourceFile))
  await using folder = await temporaryFolder()
  const names = libraryNames(library.build)
  await writeFile(join(folder.path, 'abi.c'), program())
  const files = [names.llama, names.ggml, names.base].map((name) => join(library.folder, name))
  const cpu = library.folder
  await run(
    'gcc',
    [
      '-w',
      'abi.c',
      '-o',
      'abi',
      `-I${dirname(llama as string)}`,
      `-I${dirname(others[0] as string)}`,
      ...files,
      `-Wl,-rpath,${cpu}`,
      '-Wl,--allow-shlib-undefined',
    ],
    { cwd: folder.path },
  )
  const { stdout } = await run(join(folder.path, 'abi'))
  expect(bound()).toEqual(JSON.parse(stdout))
})

test('the libraries are of the release that the layouts belong to', () => {
  expect(library.c.llama_version()?.split('-')[0]).toBe(abi.release)
})
