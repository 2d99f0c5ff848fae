import { isJsonObject, type Json } from '../../lib/json.ts'

/** What a reference within a schema (`#/$defs/point`) points at; undefined when nothing is there. */
export function pointed(root: Json, pointer: string): Json | undefined {
  let target: Json | undefined = root
  for (const step of pointer.slice(1).split('/').slice(1)) {
    const key = decoded(step).replaceAll('~1', '/').replaceAll('~0', '~')
    target = Array.isArray(target) ? target[Number(key)] : isJsonObject(target) && Object.hasOwn(target, key) ? target[key] : undefined
  }
  return target
}

/** A pointer's step is written as in a URL's fragment; one that is not is taken as it stands. */
function decoded(step: string): string {
  try {
    return decodeURIComponent(step)
  } catch {
    return step
  }
}
