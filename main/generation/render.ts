import type { Model } from '../models/model.ts'
import { specialTexts } from '../models/special-texts.ts'
import type { SpecialTexts } from '../prompt/jinja.ts'
import type { ChatRequest } from './events.ts'
import type { ResolvedOptions } from './options.ts'

/** What a prompt may have besides its text: BOS, the space that some vocabularies put in front, the reply's first token. */
const extraTokens = 3

/** A chat's prompt without its model in memory; null where a runner has to say how long it is, as it might have to be cut. */
export async function renderUnloaded(
  model: Model,
  { truncate }: Pick<ChatRequest, 'truncate'>,
  { placement }: Pick<ResolvedOptions, 'placement'>,
  render: (texts: SpecialTexts) => Promise<string>,
): Promise<string | null> {
  // A token has a byte at least. Which context a request gets that names none is known when the model is loaded.
  const roomBytes = truncate ? Math.min(placement.contextLength ?? 0, model.header.contextLength ?? 0) - extraTokens : Number.POSITIVE_INFINITY
  const texts = roomBytes > 0 ? await specialTexts(model) : null
  if (texts === null) return null
  const prompt = await render(texts)
  return Buffer.byteLength(prompt) <= roomBytes ? prompt : null
}
