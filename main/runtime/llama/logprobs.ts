/** A token with the logarithm of its probability. */
export interface Scored {
  token: number
  logprob: number
}

/** Exact log-softmax of one token and of the `count` most probable, best first. */
export function logprobs(logits: Float32Array, token: number, count: number): { logprob: number; top: Scored[] } {
  const top: { token: number; logit: number }[] = []
  let max = Number.NEGATIVE_INFINITY
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] as number
    if (logit > max) max = logit
    if (count === 0 || (top.length === count && logit <= (top[count - 1] as { logit: number }).logit)) continue
    let at = top.length
    while (at > 0 && (top[at - 1] as { logit: number }).logit < logit) at--
    top.splice(at, 0, { token: id, logit })
    if (top.length > count) top.pop()
  }
  let sum = 0
  for (let id = 0; id < logits.length; id++) sum += Math.exp((logits[id] as number) - max)
  const total = max + Math.log(sum)
  return { logprob: (logits[token] as number) - total, top: top.map((best) => ({ token: best.token, logprob: best.logit - total })) }
}
