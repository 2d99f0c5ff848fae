import { apertus } from './apertus.ts'
import { apriel } from './apriel.ts'
import { commandR, commandR7b } from './command-r.ts'
import { deepseekR1, deepseekV4, deepseekV31, deepseekV32 } from './deepseek.ts'
import type { Family } from './family.ts'
import { firefunction } from './firefunction.ts'
import { functionary31, functionary32 } from './functionary.ts'
import { functiongemma } from './functiongemma.ts'
import { gemma } from './gemma.ts'
import { gemma4 } from './gemma4.ts'
import { gigachat, gigachat31 } from './gigachat.ts'
import { glm } from './glm.ts'
import { granite } from './granite.ts'
import { hermes } from './hermes.ts'
import { hunyuan } from './hunyuan.ts'
import { kimi, kimiK3 } from './kimi.ts'
import { lfm2 } from './lfm2.ts'
import { llama3 } from './llama3.ts'
import { minicpm } from './minicpm.ts'
import { minimaxM1, minimaxM2 } from './minimax.ts'
import { minimaxM3 } from './minimax-m3.ts'
import { mistral, mistralList } from './mistral.ts'
import { muse } from './muse.ts'
import { nemotronNano } from './nemotron-nano.ts'
import { phi } from './phi.ts'
import { qwenXml, seed } from './qwen-xml.ts'
import { smollm3 } from './smollm3.ts'
import { solar } from './solar.ts'

/** Most particular first: the first family that recognises its own template is taken. */
export const families: readonly Family[] = [
  functionary31,
  functionary32,
  firefunction,
  gemma4,
  functiongemma,
  gemma,
  commandR7b,
  commandR,
  granite,
  phi,
  apertus,
  apriel,
  nemotronNano,
  gigachat,
  gigachat31,
  solar,
  hunyuan,
  minicpm,
  muse,
  mistral,
  mistralList,
  deepseekR1,
  deepseekV31,
  deepseekV32,
  deepseekV4,
  seed,
  qwenXml,
  glm,
  kimi,
  kimiK3,
  minimaxM1,
  minimaxM2,
  minimaxM3,
  lfm2,
  smollm3,
  hermes,
  llama3,
]

/** The family that a template's markers name; null for none that we know. */
export function familyOf(template: string): Family | null {
  return families.find(({ owns }) => owns(template)) ?? null
}

/** True when replies hold marks even where no tool is declared. */
export function marksReplies(family: Family | null): boolean {
  return family?.format.silent !== undefined
}
