/** Where a model's thinking begins and ends, without white space. */
export interface ThinkingTags {
  open: string
  close: string
}

interface KnownTags extends ThinkingTags {
  /** What a template has of them; its own text holds both tags unless said. */
  mark?: RegExp
}

/** Pairs that model families use; the first that a template shows is its own. */
const knownTags: readonly KnownTags[] = [
  // Harmony's final channel is written in pieces, so its name and its analysis stand for it.
  { open: '<|channel|>analysis<|message|>', close: '<|channel|>final<|message|>', mark: /<\|channel\|>[\s\S]*analysis|analysis[\s\S]*<\|channel\|>/ },
  { open: '<seed:think>', close: '</seed:think>' },
  { open: '<mm:think>', close: '</mm:think>' },
  { open: '<|START_THINKING|>', close: '<|END_THINKING|>' },
  { open: '<|channel>thought', close: '<channel|>' },
  { open: '<|inner_prefix|>', close: '<|inner_suffix|>' },
  { open: '<|open|>think<|sep|>', close: '<|close|>think<|sep|>', mark: /open_tag\('think'/ },
  { open: '<think:opensource>', close: '</think:opensource>', mark: /'<think\{\}>'\.format\(/ },
  { open: 'to=self<|message|>', close: '<|eom|>' },
  { open: '<|think|>', close: '<|end|>' },
  { open: 'Here are my reasoning steps:', close: '[BEGIN FINAL RESPONSE]', mark: /\[BEGIN FINAL RESPONSE\]/ },
  { open: 'Here is my thought process:', close: 'Here is my response:' },
  { open: '[THINK]', close: '[/THINK]' },
  { open: '<think>', close: '</think>' },
  { open: '<thinking>', close: '</thinking>' },
]

/** Tags of the thinking that a Jinja template knows of, by the markers in its text; null when it has none. */
export function thinkingTags(template: string): ThinkingTags | null {
  const found = knownTags.find(({ open, close, mark }) => mark?.test(template) ?? (template.includes(close) && template.includes(open)))
  return found ? { open: found.open, close: found.close } : null
}
