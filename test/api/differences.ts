/** Where we answer otherwise than the recorded peer on purpose, and what a user gains by it. */
export interface Difference {
  /** `scenario/id` of the exchange. */
  exchange: string
  /** The places that may differ, as the comparison names them, and everything below them. */
  at: string[]
  what: string
  why: string
}

const optionType = {
  at: ['status'],
  what: 'a wrong type of an option is 400, not 500',
  why: 'the request is at fault, and clients that retry a 500 would do so for ever',
}
const badRequest = {
  at: ['status'],
  what: 'a request that cannot be served as it is asked is 400, not 500',
  why: 'the request is at fault, and only another one will help',
}
const brokenTemplate = { at: ['status'], what: 'a template that does not parse is 400, not 500', why: 'the request is at fault' }

const usageDetails = {
  at: ['body.usage.input_tokens_details', 'body.usage.output_tokens_details', 'last.response.usage.input_tokens_details'],
  what: 'tokens from the cache and tokens of thinking are counted',
  why: 'a person sees what the cache saves and what thinking costs; the peer always says 0',
}
const capabilities = {
  at: ['body.models.capabilities'],
  what: 'tags names the capabilities that show names',
  why: 'a client that reads the list sees tools and thinking without asking for each model',
}
export const differences: Difference[] = [
  { exchange: 'generate/stop-string', ...optionType },
  { exchange: 'generate/option-wrong-type', ...optionType },
  { exchange: 'generate/option-int-string', ...optionType },
  { exchange: 'generate/option-stop-number', ...optionType },
  { exchange: 'generate/option-bool', ...optionType },
  { exchange: 'generate/template-broken', ...brokenTemplate },
  { exchange: 'generate/template-unknown-function', ...brokenTemplate },
  { exchange: 'generate/format-bad', ...badRequest },
  { exchange: 'generate/format-number', ...badRequest },
  { exchange: 'chat/images', ...badRequest },
  { exchange: 'embed/legacy-too-long', ...badRequest },
  {
    exchange: 'generate/long-prompt-truncated',
    at: ['body.prompt_eval_count', 'body.context'],
    what: 'an over-long prompt loses only what does not fit, from its middle, and the reply says so',
    why: 'the peer drops about half of the window in silence',
  },
  {
    exchange: 'openai/chat-max-completion-tokens',
    at: ['body.choices', 'body.usage'],
    what: 'max_completion_tokens bounds the reply',
    why: "it is what OpenAI's own clients send now; the peer ignores it and writes on",
  },
  {
    exchange: 'openai/chat-schema',
    at: ['body.usage'],
    what: 'a structured reply ends with its last bracket',
    why: "the peer's grammar lets the model go on with white space, which costs tokens and is then cut away",
  },
  {
    exchange: 'openai/completion-prompt-list',
    at: ['status', 'headers.content-type', 'body'],
    what: 'a list of prompts is answered, a choice for each',
    why: 'programs that send many prompts at once need one request for them; the peer takes a single text only',
  },
  { exchange: 'openai/responses', ...usageDetails },
  { exchange: 'openai/responses-stream', ...usageDetails },
  { exchange: 'openai/responses-instructions', ...usageDetails },
  { exchange: 'openai/responses-tool', ...usageDetails },
  { exchange: 'openai/responses-tool-stream', ...usageDetails },
  { exchange: 'openai/responses-reasoning-stream', ...usageDetails },
  {
    exchange: 'embed/chat-model',
    at: ['status', 'body'],
    what: 'a chat model gives an embedding (200), not 501',
    why: 'every model can embed; a program needs no second model for it',
  },
  {
    exchange: 'library/create-unknown-parameter',
    at: ['status', 'body'],
    what: 'an unknown parameter is 400 and names the nearest known one',
    why: 'a misspelt parameter would silently do nothing for as long as the model lives',
  },
  {
    exchange: 'library/create-bad-parameter',
    at: ['status', 'body'],
    what: 'a parameter of the wrong type is 400',
    why: 'the model that the peer creates fails at its first request',
  },
  { exchange: 'library/tags', ...capabilities },
  { exchange: 'library/tags-after-copy', ...capabilities },
  { exchange: 'library/tags-at-end', ...capabilities },
  {
    exchange: 'library/blob-put',
    at: ['status'],
    what: '201, as the blob is new',
    why: 'the peer has kept the bytes of the mismatched upload before it; ours keeps a blob only under the digest that was asked for',
  },
  {
    exchange: 'anthropic/stop-sequence',
    at: ['body.stop_reason'],
    what: 'a stop sequence that was met is the reason that is told, with the sequence beside it',
    why: 'a program sees whether the model came to its end or ran into the sequence',
  },
  {
    exchange: 'anthropic/count-tokens',
    at: ['status', 'headers.content-type', 'text'],
    what: 'tokens are counted',
    why: 'clients that plan their context get the exact length of the prompt, where the peer knows no such path',
  },
]
