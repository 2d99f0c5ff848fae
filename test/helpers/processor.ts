import { readFileSync } from 'node:fs'

const flags =
  process.platform === 'linux' && process.arch === 'x64'
    ? new Set(/^flags\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' '))
    : new Set<string>()

/** The processor has matrix units, which llama.cpp uses by itself and which round otherwise than the recordings' machine. */
export const hasAmx = flags.has('amx_int8')

/** llama.cpp's build for Ice Lake, whose arithmetic is the recordings', runs here. */
export const computesAsRecorded = ['avx512f', 'avx512vl', 'avx512_vbmi', 'avx512_vnni'].every((flag) => flags.has(flag))
