import { AppError } from '../errors.ts'
import type { Json, JsonObject } from '../lib/json.ts'
import type { UpstreamChat, UpstreamCompletion, UpstreamMessage } from './engine.ts'
import { mediaType } from './media.ts'

type Shared = Pick<UpstreamChat, 'model' | 'options' | 'format'>

/** Options whose name is the same in OpenAI's protocol or in the engines that add to it; those of where a model lies are not theirs to decide. */
const sameName = [
  'temperature',
  'top_p',
  'presence_penalty',
  'frequency_penalty',
  'logit_bias',
  'stop',
  'top_k',
  'min_p',
  'typical_p',
  'repeat_last_n',
  'mirostat',
  'mirostat_tau',
  'mirostat_eta',
  'top_n_sigma',
  'xtc_probability',
  'xtc_threshold',
  'dry_multiplier',
  'dry_base',
  'dry_allowed_length',
  'dry_penalty_last_n',
  'dry_sequence_breakers',
  'dynatemp_range',
  'dynatemp_exponent',
]

/** The body of `/v1/chat/completions`, streamed. */
export function chatBody(request: UpstreamChat): JsonObject {
  const { tools, toolChoice, parallelCalls, topLogprobs } = request
  const offered = toolChoice === 'none' ? [] : tools
  return {
    ...shared(request),
    messages: messagesBody(request.messages),
    ...(offered.length > 0 && { tools: offered, ...choice(toolChoice), ...(parallelCalls ? {} : { parallel_tool_calls: false }) }),
    ...thinking(request),
    ...(topLogprobs !== null && { logprobs: true, top_logprobs: topLogprobs }),
  }
}

/** The body of `/v1/completions`, streamed. */
export function completionBody(request: UpstreamCompletion): JsonObject {
  const { prompt, promptTokens, suffix, topLogprobs } = request
  return { ...shared(request), prompt: promptTokens ?? prompt, ...(suffix !== '' && { suffix }), ...(topLogprobs !== null && { logprobs: topLogprobs }) }
}

function shared({ model, options, format }: Shared): JsonObject {
  const { num_predict: limit, seed, repeat_penalty: penalty, grammar, thinking_budget: budget } = options
  const held = typeof grammar === 'string' ? grammar : format?.type === 'grammar' ? format.gbnf : null
  return {
    model,
    stream: true,
    stream_options: { include_usage: true },
    ...Object.fromEntries(sameName.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]]))),
    ...(typeof limit === 'number' && limit > 0 && { max_tokens: Math.trunc(limit) }),
    ...(typeof seed === 'number' && seed >= 0 && { seed: Math.trunc(seed) }),
    // vLLM and SGLang have the one name, llama.cpp's server and LM Studio the other.
    ...(penalty !== undefined && { repetition_penalty: penalty, repeat_penalty: penalty }),
    // Paddock's name, llama.cpp's server's and vLLM's.
    ...(typeof budget === 'number' && budget >= 0 && { thinking_budget: budget, thinking_budget_tokens: budget, thinking_token_budget: budget }),
    ...(held !== null && { grammar: held, structured_outputs: { grammar: held } }),
    ...(held === null && responseFormat(format)),
  }
}

function responseFormat(format: Shared['format']): JsonObject {
  if (format?.type === 'json') return { response_format: { type: 'json_object' } }
  if (format?.type === 'schema') return { response_format: { type: 'json_schema', json_schema: { name: 'reply', schema: format.schema, strict: true } } }
  return {}
}

function choice(toolChoice: UpstreamChat['toolChoice']): JsonObject {
  if (toolChoice === 'required') return { tool_choice: 'required' }
  return typeof toolChoice === 'object' ? { tool_choice: { type: 'function', function: { name: toolChoice.name } } } : {}
}

/** Thinking is switched by a variable of the chat template (Qwen3 and others, DeepSeek) in vLLM, SGLang and llama.cpp's server; its depth by OpenAI's own field. */
function thinking({ think, templateVariables }: Pick<UpstreamChat, 'think' | 'templateVariables'>): JsonObject {
  const switched = think === null ? {} : { enable_thinking: think !== false, thinking: think !== false }
  const variables = { ...switched, ...templateVariables }
  return {
    ...(Object.keys(variables).length > 0 && { chat_template_kwargs: variables }),
    ...(typeof think === 'string' && { reasoning_effort: think === 'max' ? 'high' : think }),
  }
}

/** Messages in OpenAI's shape. Calls without an id get one, as the protocol ties results to calls by it. */
export function messagesBody(messages: UpstreamMessage[]): JsonObject[] {
  let made = 0
  /** Ids of calls that still wait for their result. */
  let open: { id: string; name: string }[] = []
  return messages.map((message) => {
    const { role, thinking, toolCalls = [], toolName } = message
    if (role === 'tool') {
      const at = open.findIndex(({ id, name }) => (message.toolCallId === undefined ? toolName === undefined || name === toolName : id === message.toolCallId))
      const [answered] = at < 0 ? [] : open.splice(at, 1)
      const id = message.toolCallId ?? answered?.id ?? `call_${++made}`
      return { role, content: content(message), tool_call_id: id, ...(toolName !== undefined && { name: toolName }) }
    }
    const calls = toolCalls.map(({ id, name, arguments: given }) => ({ id: id === '' ? `call_${++made}` : id, name, arguments: JSON.stringify(given) }))
    if (calls.length > 0) open = calls
    return {
      role,
      content: content(message),
      // The older name and the newer one.
      ...(thinking !== undefined && { reasoning_content: thinking, reasoning: thinking }),
      ...(calls.length > 0 && { tool_calls: calls.map(({ id, ...call }) => ({ id, type: 'function', function: call })) }),
    }
  })
}

function content({ content: text, images = [] }: UpstreamMessage): Json {
  if (images.length === 0) return text
  return [...images.map(part), ...(text === '' ? [] : [{ type: 'text', text }])]
}

function part(bytes: Uint8Array): JsonObject {
  const type = mediaType(bytes)
  if (type === null) throw new AppError('invalid-request', 'a picture or sound is of a kind that is not known: PNG, JPEG, GIF, WebP, WAV and MP3 are')
  const data = Buffer.from(bytes).toString('base64')
  if (type.startsWith('audio/')) return { type: 'input_audio', input_audio: { data, format: type.slice('audio/'.length) } }
  return { type: 'image_url', image_url: { url: `data:${type};base64,${data}` } }
}
