import { AppError } from '../../errors.ts'
import { isJsonObject, type JsonObject } from '../../lib/json.ts'
import type { ElsewhereModel, UpstreamTarget } from '../../upstream/upstreams.ts'
import { remoteFields } from '../elsewhere.ts'
import type { ApiServices } from '../services.ts'
import { localTime } from '../time.ts'

/** What an engine may tell of its model by our routes; the rest of its answer is not passed on. */
const passed = ['license', 'modelfile', 'parameters', 'template', 'system', 'messages', 'projector_info', 'requires']

/** A model elsewhere in `/api/tags`. */
export function listedElsewhere(model: ElsewhereModel) {
  const { name, modifiedAt, sizeBytes, digest, contextLength, capabilities } = model
  return {
    name,
    model: name,
    ...remoteFields(model),
    modified_at: localTime(modifiedAt ?? new Date(0)),
    size: sizeBytes,
    digest,
    details: { ...details(model), ...(contextLength !== null && { context_length: contextLength }) },
    ...(capabilities.length > 0 && { capabilities }),
  }
}

/** A model elsewhere in `/api/show`: what its engine tells, and where it runs. */
export async function shownElsewhere({ upstreams }: Pick<ApiServices, 'upstreams'>, target: UpstreamTarget, name: string, signal: AbortSignal) {
  const model = await upstreams.model(target)
  if (model === null) throw new AppError('model-not-found', `model '${name}' not found: the engine ${target.upstream} does not list it`)
  const told: JsonObject = (await target.client.show(target.model, signal)) ?? {}
  const { contextLength, capabilities, modifiedAt } = model
  return {
    modelfile: '',
    template: '',
    ...Object.fromEntries(passed.flatMap((field) => (told[field] === undefined ? [] : [[field, told[field]]]))),
    details: isJsonObject(told.details) ? told.details : details(model),
    model_info: isJsonObject(told.model_info)
      ? told.model_info
      : { 'general.architecture': 'remote', 'general.basename': target.model, ...(contextLength !== null && { 'remote.context_length': contextLength }) },
    tensors: [],
    capabilities: Array.isArray(told.capabilities) ? told.capabilities : capabilities,
    modified_at: localTime(modifiedAt ?? new Date(0)),
    ...remoteFields(model),
  }
}

function details({ family, parameterSize, quantizationLevel }: ElsewhereModel) {
  return {
    parent_model: '',
    format: '',
    family,
    families: family === '' ? [] : [family],
    parameter_size: parameterSize,
    quantization_level: quantizationLevel,
  }
}
