/** A model that could leave, as far as the choice depends on it. */
export interface Candidate {
  isIdle: boolean
  /** Larger is later. */
  lastUse: number
}

/**
 * The models to unload until `isEnough`: the fewest, idle ones first, then the least recently used.
 *
 * All of them when that is still not enough.
 */
export function chooseVictims<C extends Candidate>(candidates: readonly C[], isEnough: (gone: readonly C[]) => boolean): C[] {
  const order = [...candidates].sort((a, b) => Number(b.isIdle) - Number(a.isIdle) || a.lastUse - b.lastUse)
  let victims: C[] = []
  for (const candidate of order) {
    if (isEnough(victims)) break
    victims.push(candidate)
  }
  // One that was taken early may be spared by what a larger one gave.
  for (const victim of victims.toReversed()) {
    const without = victims.filter((other) => other !== victim)
    if (isEnough(without)) victims = without
  }
  return victims
}
