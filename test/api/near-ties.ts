/**
 * Greedy replies in which two tokens were almost equally likely: a processor that rounds otherwise than the recordings' takes the other one.
 *
 * Measured under AVX2: "The" at -2.144 before "I" at -2.170 in the first, white space inside a JSON object in the second.
 */
export const nearTies: { exchange: string; at: string }[] = [
  { exchange: 'chat/tools-empty', at: 'body.message.content' },
  { exchange: 'openai/chat-schema', at: 'body.choices.message.content' },
]
