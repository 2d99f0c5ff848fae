import { AppError } from '../errors.ts'
import type { ElsewhereModel } from '../upstream/upstreams.ts'
import type { ApiServices } from './services.ts'

/** Throws `invalid-request` for the name of a model in an engine elsewhere: what is asked is not ours to do. */
export function refuseElsewhere({ upstreams }: Pick<ApiServices, 'upstreams'>, name: string, what: string): void {
  const target = upstreams.find(name)
  if (target === null) return
  throw new AppError(
    'invalid-request',
    `cannot ${what} ${JSON.stringify(name)}: names that begin with "${target.upstream}/" are models of the engine at ${target.url}`,
  )
}

/** Where a model elsewhere runs, in every list: Ollama's two fields, and ours beside them. */
export function remoteFields({ id, upstream: { name, url, state, problem } }: Pick<ElsewhereModel, 'id' | 'upstream'>) {
  return { remote_model: id, remote_host: url, upstream: { name, state, ...(problem !== null && { error: problem }) } }
}
