import { random } from '../helpers/random-weights.ts'

const words = 'river stone lamp paper glass wind north garden silver table cloud copper train market window forest summer letter bridge candle'.split(' ')
let salt = 0

/** Text of so many words that no cache has seen: its beginning is new each time. */
export function freshText(count: number): string {
  const next = random(++salt)
  return Array.from({ length: count }, () => words[Math.floor(next() * words.length)]).join(' ')
}

/** Sentences of about twenty words. */
export const sentences = (count: number) => Array.from({ length: count }, () => freshText(20))
