/** Nothing listens there, so that what would go out ends at once. */
const nowhere = '127.0.0.1:1/a/b'

const parameters = { type: 'object', properties: { x: { type: 'string' } }, required: ['x'] }
const tool = { type: 'function', function: { name: 'f', description: 'd', parameters } }
const schema = {
  type: 'object',
  properties: {
    a: { type: 'string', enum: ['x'], pattern: '^x$', maxLength: 3 },
    b: { type: 'integer', minimum: 0, maximum: 5 },
    c: { type: 'array', items: { anyOf: [{ type: 'null' }] }, maxItems: 2 },
    d: { $ref: '#/$defs/d' },
  },
  required: ['b'],
  additionalProperties: false,
  $defs: { d: { const: 1 } },
}
const options = {
  num_predict: 1,
  num_ctx: 512,
  num_keep: 1,
  num_batch: 16,
  num_gpu: 0,
  main_gpu: 0,
  num_thread: 1,
  use_mmap: true,
  seed: 1,
  temperature: 0,
  top_k: 1,
  top_p: 1,
  min_p: 0,
  typical_p: 1,
  repeat_last_n: 1,
  repeat_penalty: 1,
  presence_penalty: 0,
  frequency_penalty: 0,
  mirostat: 0,
  mirostat_tau: 1,
  mirostat_eta: 1,
  top_n_sigma: 1,
  xtc_probability: 0,
  xtc_threshold: 0,
  dry_multiplier: 0,
  dry_base: 1,
  dry_allowed_length: 1,
  dry_penalty_last_n: 1,
  dry_sequence_breakers: ['a'],
  dynatemp_range: 0,
  dynatemp_exponent: 1,
  logit_bias: { 1: 1 },
  thinking_budget: 1,
  grammar: 'root ::= "a"',
  stop: ['x'],
}
const model = 'cria'
const short = { num_predict: 1, num_ctx: 256 }
const embedder = 'all-minilm'
const ranked = { model: embedder, query: 'q', documents: ['a', { text: 'b' }], top_n: 1, return_documents: true }
const asked = [{ role: 'user', content: 'a' }]

/** Bodies that the routes understand, with all that can be said in them, by method and path. */
export const bodies: Record<string, Record<string, unknown>[]> = {
  'POST /api/generate': [
    { model, prompt: 'a', stream: false, options },
    { model, prompt: 'a', stream: false, format: schema, context: [1, 2], images: ['aGk='], options: short },
    { model, prompt: 'a', stream: false, template: '{{ .Prompt }}', system: 's', options: short },
  ],
  'POST /api/chat': [
    {
      model,
      stream: false,
      options: short,
      messages: [
        ...asked,
        { role: 'assistant', content: '', thinking: 't', tool_calls: [{ id: 'x', function: { index: 0, name: 'f', arguments: { x: 'a' } } }] },
        { role: 'tool', content: 'r', tool_name: 'f', tool_call_id: 'x' },
      ],
      tools: [tool],
    },
  ],
  'POST /api/embed': [{ model: embedder, input: ['a', 'b'], options: { num_ctx: 64 } }],
  'POST /api/embeddings': [{ model: embedder, prompt: 'a', options: {} }],
  'POST /api/show': [{ model }],
  'POST /api/copy': [{ source: model, destination: 'copied' }],
  'DELETE /api/delete': [{ model: 'nothing' }],
  'POST /api/create': [
    { model: 'made', from: model, stream: false, parameters: { temperature: 1, stop: ['a'] }, messages: asked, license: ['l'], files: {}, info: { a: 1 } },
    { model: 'made', stream: false, files: { 'a.gguf': `sha256:${'0'.repeat(64)}` } },
  ],
  'POST /api/pull': [{ model: nowhere, insecure: true, stream: false }],
  'POST /api/push': [{ model: nowhere, insecure: true, stream: false }],
  'POST /api/experimental/web_search': [{ query: 'a' }],
  'POST /api/experimental/web_fetch': [{ url: 'http://127.0.0.1:1' }],
  'POST /v1/chat/completions': [
    {
      model,
      max_tokens: 1,
      num_ctx: 256,
      logit_bias: { 1: 1 },
      tool_choice: { type: 'function', function: { name: 'f' } },
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'a' }] },
        { role: 'assistant', content: null, reasoning: 't', tool_calls: [{ id: 'x', type: 'function', function: { name: 'f', arguments: '{"x":"a"}' } }] },
        { role: 'tool', content: 'r', name: 'f', tool_call_id: 'x' },
      ],
      tools: [tool],
      reasoning: { effort: 'low' },
      chat_template_kwargs: { a: 1 },
      stream_options: { include_usage: true },
    },
    {
      model,
      max_tokens: 1,
      num_ctx: 256,
      messages: asked,
      response_format: { type: 'json_schema', json_schema: { name: 'x', schema } },
      tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'f' } }] } },
      tools: [tool],
    },
  ],
  'POST /v1/completions': [
    { model, max_tokens: 1, num_ctx: 256, prompt: ['a', 'b'], logit_bias: { 1: 1 }, stop: ['x'], logprobs: 1 },
    { model, max_tokens: 1, num_ctx: 256, prompt: [[1], [2]], echo: true },
  ],
  'POST /v1/responses': [
    {
      model,
      max_output_tokens: 1,
      num_ctx: 256,
      instructions: 'i',
      input: [
        { role: 'user', content: [{ type: 'input_text', text: 'a' }] },
        { type: 'reasoning', summary: [{ type: 'summary_text', text: 's' }], encrypted_content: 'e' },
        { type: 'function_call', call_id: 'c', name: 'f', namespace: '', arguments: '{"x":"a"}' },
        { type: 'function_call_output', call_id: 'c', output: [{ type: 'input_text', text: 'a' }] },
        { type: 'custom_tool_call', call_id: 'd', name: 'g', input: 'x' },
        { type: 'custom_tool_call_output', call_id: 'd', output: 'x' },
      ],
      tools: [
        { type: 'function', name: 'f', description: 'd', parameters },
        { type: 'custom', name: 'g', format: { type: 'grammar', syntax: 'lark', definition: 'x' } },
        { type: 'namespace', name: 'n', tools: [{ type: 'function', name: 'm' }] },
      ],
      tool_choice: { type: 'function', name: 'f' },
      reasoning: { effort: 'low', summary: 'auto' },
      include: ['x'],
      metadata: { a: 'b' },
    },
    { model, max_output_tokens: 1, num_ctx: 256, input: 'a', text: { format: { type: 'json_schema', name: 'x', schema } } },
  ],
  'POST /v1/responses/input_tokens': [{ model, num_ctx: 256, input: [{ role: 'user', content: [{ type: 'input_text', text: 'a' }] }] }],
  'POST /v1/embeddings': [
    { model: embedder, input: ['a', 'b'], dimensions: 2, encoding_format: 'base64' },
    { model: embedder, input: [[1], [2]] },
  ],
  'POST /v1/messages': [
    {
      model,
      max_tokens: 1,
      num_ctx: 256,
      system: [{ type: 'text', text: 's', cache_control: { type: 'ephemeral' } }],
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'a' },
            { type: 'document', title: 't', context: 'c', source: { type: 'text', media_type: 'text/plain', data: 'd' } },
            { type: 'search_result', title: 't', source: 's', content: [{ type: 'text', text: 'x' }] },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 't', signature: 's' },
            { type: 'tool_use', id: 'x', name: 'f', input: { x: 'a' } },
          ],
        },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'x', is_error: true, content: [{ type: 'text', text: 'r' }] }] },
      ],
      tools: [{ name: 'f', description: 'd', input_schema: parameters }],
      tool_choice: { type: 'tool', name: 'f' },
      thinking: { type: 'enabled', budget_tokens: 1 },
      stop_sequences: ['x'],
      output_config: { effort: 'low', format: { type: 'json_schema', schema } },
    },
  ],
  'POST /v1/messages/count_tokens': [{ model, num_ctx: 256, messages: [{ role: 'user', content: [{ type: 'text', text: 'a' }] }] }],
  'POST /api/tokenize': [{ model, text: 'a', add_special: true, parse_special: true }],
  'POST /api/detokenize': [{ model, tokens: [1, 2] }],
  'POST /api/rerank': [ranked],
  'POST /v1/rerank': [ranked],
  'POST /api/doctor': [{ model: 'nothing' }],
  'POST /api/import': [{ path: '/nothing.gguf', name: 'imported' }],
  'POST /api/hide': [{ model: 'nothing' }],
  'POST /api/restore': [{ model: 'nothing' }],
  'POST /api/origins': [{ on: ['a'], off: ['b'], add: ['/nothing'], remove: ['/nothing'] }],
  'POST /api/verify': [{ model, stream: false }],
  'POST /api/updates': [{ model: nowhere, insecure: true }],
  'POST /api/prune': [{ dry_run: true }],
  'POST /api/downloads': [{ model: nowhere, insecure: true }],
  'POST /api/fit': [{ model, options }],
  'POST /api/upstreams': [{ name: 'x', url: 'http://127.0.0.1:1' }],
}
