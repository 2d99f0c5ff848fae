import { describe, expect, test } from 'vitest'
import { families } from '../../../../main/prompt/parsers/families.ts'
import { isHarmony } from '../../../../main/prompt/parsers/harmony.ts'
import { realTemplate, realTemplates } from '../../../helpers/real-templates.ts'

/** Which family reads the calls of a real template's models; null where the template takes no tools. */
const owners: Record<string, string | null> = {
  'Apertus-8B-Instruct.jinja': 'apertus',
  'Apriel-1.6-15b-Thinker-fixed.jinja': 'apriel',
  'Bielik-11B-v3.0-Instruct.jinja': 'hermes',
  'ByteDance-Seed-OSS.jinja': 'seed',
  'Cohere2MoE.jinja': 'command-r7b',
  'CohereForAI-c4ai-command-r-plus-tool_use.jinja': 'command-r',
  'CohereForAI-c4ai-command-r7b-12-2024-tool_use.jinja': 'command-r7b',
  'GLM-4.6.jinja': 'glm',
  'GLM-4.7-Flash.jinja': 'glm',
  'GigaChat3-10B-A1.8B.jinja': 'gigachat',
  'GigaChat3.1-10B-A1.8B.jinja': 'gigachat-3.1',
  'HuggingFaceTB-SmolLM3-3B.jinja': null,
  'Kimi-K2-Instruct.jinja': 'kimi',
  'Kimi-K2-Thinking.jinja': 'kimi',
  'Kimi-K3.jinja': 'kimi-k3',
  'LFM2-8B-A1B.jinja': 'lfm2',
  'LFM2.5-8B-A1B.jinja': 'lfm2',
  'LFM2.5-Instruct.jinja': 'lfm2',
  'MiMo-VL.jinja': 'hermes',
  'MiniMax-M1.jinja': 'minimax-m1',
  'MiniMax-M2.jinja': 'minimax-m2',
  'MiniMax-M3.jinja': 'minimax-m3',
  'Mistral-Small-3.2-24B-Instruct-2506.jinja': 'mistral',
  'NVIDIA-Nemotron-3-Nano-30B-A3B-BF16.jinja': 'qwen-xml',
  'NVIDIA-Nemotron-Nano-v2.jinja': 'nemotron-nano',
  'NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use.jinja': 'hermes',
  'NousResearch-Hermes-3-Llama-3.1-8B-tool_use.jinja': 'hermes',
  'Qwen-QwQ-32B.jinja': 'hermes',
  'Qwen-Qwen2.5-7B-Instruct.jinja': 'hermes',
  'Qwen-Qwen3-0.6B.jinja': 'hermes',
  'Qwen3-Coder.jinja': 'qwen-xml',
  'Qwen3.5-4B.jinja': 'qwen-xml',
  'Reka-Edge.jinja': 'hermes',
  'StepFun3.5-Flash.jinja': 'qwen-xml',
  'deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja': 'deepseek-r1',
  'deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja': 'deepseek-r1',
  'deepseek-ai-DeepSeek-V3.1.jinja': 'deepseek-v3.1',
  'deepseek-ai-DeepSeek-V3.2.jinja': 'deepseek-v3.2',
  'deepseek-ai-DeepSeek-V4-Flash-0731.jinja': 'deepseek-v4',
  'deepseek-ai-DeepSeek-V4.jinja': 'deepseek-v4',
  'fireworks-ai-llama-3-firefunction-v2.jinja': 'firefunction',
  'google-gemma-2-2b-it.jinja': null,
  'google-gemma-4-31B-it-interleaved.jinja': 'gemma4',
  'google-gemma-4-31B-it.jinja': 'gemma4',
  'ibm-granite-granite-3.3-2B-Instruct.jinja': 'granite',
  'ibm-granite-granite-4.0.jinja': 'hermes',
  'ibm-granite-granite-4.1.jinja': 'hermes',
  'llama-cpp-deepseek-r1.jinja': 'deepseek-r1',
  'llama-cpp-rwkv-world.jinja': null,
  'meetkai-functionary-medium-v3.1.jinja': 'functionary-3.1',
  'meetkai-functionary-medium-v3.2.jinja': 'functionary-3.2',
  'meta-llama-Llama-3.1-8B-Instruct.jinja': 'llama3',
  'meta-llama-Llama-3.2-3B-Instruct.jinja': 'llama3',
  'meta-llama-Llama-3.3-70B-Instruct.jinja': 'llama3',
  'microsoft-Phi-3.5-mini-instruct.jinja': null,
  'mistralai-Ministral-3-14B-Reasoning-2512.jinja': 'mistral',
  'mistralai-Mistral-Nemo-Instruct-2407.jinja': 'mistral-list',
  'moonshotai-Kimi-K2.jinja': 'kimi',
  'muse-glimmer.jinja': 'muse',
  'openai-gpt-oss-120b.jinja': 'harmony',
  'openbmb-MiniCPM5-1B.jinja': 'minicpm',
  'poolside-Laguna-S-2.1.jinja': 'glm',
  'poolside-Laguna-XS-2.1.jinja': 'glm',
  'poolside-Laguna-XS.2.jinja': 'glm',
  'tencent-Hy3.jinja': 'hunyuan',
  'unsloth-Apriel-1.5.jinja': 'apriel',
  'unsloth-mistral-Devstral-Small-2507.jinja': 'mistral',
  'upstage-Solar-Open-100B.jinja': 'solar',
}

describe.runIf(realTemplates.length > 0)('families', () => {
  test.each(Object.entries(owners))('%s belongs to %s', async (file, owner) => {
    expect((await claims(file))[0] ?? null).toBe(owner)
  })

  test.each(realTemplates)('%s is claimed by one at most', async (file) => {
    expect((await claims(file)).slice(1)).toEqual([])
  })
})

async function claims(file: string): Promise<string[]> {
  const jinja = await realTemplate(file)
  return isHarmony(jinja) ? ['harmony'] : families.filter(({ owns }) => owns(jinja)).map(({ name }) => name)
}
