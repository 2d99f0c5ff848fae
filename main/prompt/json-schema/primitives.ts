/** Rules that every grammar may use, by name; a rule brings those it names. White space is bounded as in llama.cpp's grammars, so that no model writes blanks for ever. */
export const primitives: Record<string, string> = {
  space: '| " " | "\\n"{1,2} [ \\t]{0,20}',
  value: 'object | array | string | number | boolean | null',
  object: '"{" space (string space ":" space value ("," space string space ":" space value)*)? space "}"',
  array: '"[" space (value ("," space value)*)? space "]"',
  string: '"\\"" char* "\\""',
  char: '[^"\\\\\\x7F\\x00-\\x1F] | "\\\\" (["\\\\bfnrt] | "u" [0-9a-fA-F]{4})',
  hundred: 'char{100}',
  // As JavaScript's expressions have it: no line's end.
  dot: '[^"\\\\\\x7F\\x00-\\x1F\u2028\u2029] | "\\\\" ["\\\\/bft]',
  number: '"-"? integral ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,15})?',
  integer: '"-"? integral',
  integral: '"0" | [1-9] [0-9]{0,15}',
  boolean: '"true" | "false"',
  null: '"null"',
  // Thirty days hath September; a 29th of February in leap years alone.
  date: '[0-9]{4} "-" (("0" [13578] | "1" [02]) "-" (day | "29" | "30" | "31") | ("0" [469] | "11") "-" (day | "29" | "30") | "02-" day) | leap-year "-02-29"',
  day: '"0" [1-9] | "1" [0-9] | "2" [0-8]',
  'leap-year': '[0-9]{2} ("0" [48] | [2468] [048] | [13579] [26]) | ([02468] [048] | [13579] [26]) "00"',
  time: '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,9})? ("Z" | [+-] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])',
  'date-time': 'date "T" time',
  uuid: '[0-9a-fA-F]{8} "-" [0-9a-fA-F]{4} "-" [0-9a-fA-F]{4} "-" [0-9a-fA-F]{4} "-" [0-9a-fA-F]{12}',
  ipv4: 'octet "." octet "." octet "." octet',
  octet: '"25" [0-5] | "2" [0-4] [0-9] | "1" [0-9] [0-9] | [1-9] [0-9] | [0-9]',
  ipv6: 'h16 (":" h16){7} | "::" (h16 (":" h16){0,6})? | h16 "::" (h16 (":" h16){0,5})? | h16 (":" h16){1} "::" (h16 (":" h16){0,4})? | h16 (":" h16){2} "::" (h16 (":" h16){0,3})? | h16 (":" h16){3} "::" (h16 (":" h16){0,2})? | h16 (":" h16){4} "::" (h16 (":" h16){0,1})? | h16 (":" h16){5} "::" h16? | h16 (":" h16){6} "::"',
  h16: '[0-9a-fA-F]{1,4}',
  hostname: 'label ("." label){0,6}',
  label: '[A-Za-z0-9] ([A-Za-z0-9-]{0,29} [A-Za-z0-9])?',
  email: '[A-Za-z0-9_+-] ([A-Za-z0-9_+-] | "." [A-Za-z0-9_+-]){0,31} "@" label ("." label){1,3}',
  uri: '[A-Za-z] [A-Za-z0-9+.-]{0,15} ":" ("//" hostname (":" [0-9]{1,5})? ("/" (pchar | "/"){0,300})? | pchar (pchar | "/"){0,300}) ("?" (pchar | [/?]){0,200})? ("#" (pchar | [/?]){0,100})?',
  pchar: '[A-Za-z0-9._~!$&\'()*+,;=:@-] | "%" [0-9a-fA-F]{2}',
  duration: '"P" (period ("T" hours)? | "T" hours | count "W")',
  period: 'count "Y" (count "M" (count "D")?)? | count "M" (count "D")? | count "D"',
  hours: 'count "H" (count "M" (count "S")?)? | count "M" (count "S")? | count "S"',
  count: '[0-9]{1,9}',
}

/** Formats of strings that have a rule of the same name, with how short and how long their texts are; any other format is a remark, as JSON Schema has it. */
export const stringFormats: ReadonlyMap<string, { least: number; most: number }> = new Map(
  Object.entries({
    date: { least: 10, most: 10 },
    time: { least: 9, most: 24 },
    'date-time': { least: 20, most: 35 },
    uuid: { least: 36, most: 36 },
    ipv4: { least: 7, most: 15 },
    ipv6: { least: 2, most: 39 },
    hostname: { least: 1, most: 223 },
    email: { least: 5, most: 254 },
    uri: { least: 3, most: 2083 },
    duration: { least: 3, most: 62 },
  }),
)

/** A GBNF literal for this text. */
export function literal(text: string): string {
  return `"${text.replace(/["\\\n\r]/g, (char) => ({ '\n': '\\n', '\r': '\\r' })[char] ?? `\\${char}`)}"`
}
