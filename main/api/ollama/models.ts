import { AppError } from '../../errors.ts'
import type { ModelDetails, ModelSummary } from '../../models/model.ts'
import { displayName, parseName } from '../../models/name.ts'
import type { ResidentModel } from '../../runtime/resident-model.ts'
import { readBody } from '../body.ts'
import { refuseElsewhere } from '../elsewhere.ts'
import { callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { localTime } from '../time.ts'
import { json } from '../wire.ts'
import { listedElsewhere, shownElsewhere } from './elsewhere.ts'
import { CopyBody, DeleteBody, ShowBody } from './schemas.ts'

/** What is installed, what is loaded, and what one model is (ollama-api §5.1 to §5.6). */
export function modelRoutes({ library, upstreams, describe, resident }: Pick<ApiServices, 'library' | 'upstreams' | 'describe' | 'resident'>): Route[] {
  const list = async () => {
    const [here, elsewhere] = await Promise.all([library.list(), upstreams.models()])
    return json({ models: [...here.map(listed), ...elsewhere.map(listedElsewhere)] })
  }
  return [
    { path: '/api/tags', scope: 'use', summary: 'The models that are installed', handlers: { GET: list, HEAD: list } },
    {
      path: '/api/ps',
      scope: 'use',
      summary: 'The models in memory',
      handlers: {
        GET: () =>
          json({
            models: resident()
              .sort((a, b) => b.expiresAt.getTime() - a.expiresAt.getTime())
              .map(loaded),
          }),
      },
    },
    {
      path: '/api/show',
      scope: 'use',
      summary: 'What one model is and can do',
      body: ShowBody,
      handlers: {
        POST: async (c) => {
          const body = await readBody(c, ShowBody)
          const wanted = body.model || body.name
          if (wanted === '') throw new AppError('invalid-request', 'model is required')
          const target = upstreams.find(wanted)
          if (target !== null) {
            c.get('trace').model(wanted)
            return json(await shownElsewhere({ upstreams }, target, wanted, callerSignal(c)))
          }
          const name = parseName(wanted)
          if (name === null) throw new AppError('invalid-request', 'invalid model name')
          c.get('trace').model(wanted)
          const model = await library.resolve(name)
          if (model === null) throw new AppError('model-not-found', `model '${displayName(name)}' not found`)
          const { license, modelfile, parameters, template, modelInfo, projectorInfo, tensors } = await describe(model, body.verbose)
          const copilot = c.req.header('user-agent')?.startsWith('GitHubCopilotChat/') ?? false
          return json({
            ...(license !== '' && { license }),
            modelfile,
            ...(parameters !== '' && { parameters }),
            template,
            ...(model.system && { system: model.system }),
            details: shortDetails(model.details),
            ...(model.messages.length > 0 && { messages: model.messages }),
            model_info: copilot ? { ...modelInfo, 'general.basename': wanted } : modelInfo,
            ...(projectorInfo && { projector_info: projectorInfo }),
            tensors,
            capabilities: model.capabilities,
            modified_at: localTime(model.modifiedAt),
            ...(model.requires && { requires: model.requires }),
            origin: model.origin,
          })
        },
      },
    },
    {
      path: '/api/copy',
      scope: 'manage',
      summary: 'Gives a model a second name',
      body: CopyBody,
      handlers: {
        POST: async (c) => {
          const body = await readBody(c, CopyBody)
          for (const given of [body.source, body.destination]) refuseElsewhere({ upstreams }, given, 'copy')
          const source = parseName(body.source)
          if (source === null) throw new AppError('invalid-request', `source ${JSON.stringify(body.source)} is invalid`)
          const destination = parseName(body.destination)
          if (destination === null) throw new AppError('invalid-request', `destination ${JSON.stringify(body.destination)} is invalid`)
          c.get('trace').model(body.source)
          if (!(await library.copy(source, destination, callerSignal(c))))
            throw new AppError('model-not-found', `model ${JSON.stringify(body.source)} not found`)
          return new Response(null, { status: 200 })
        },
      },
    },
    {
      path: '/api/delete',
      scope: 'manage',
      summary: 'Deletes a model',
      body: DeleteBody,
      handlers: {
        DELETE: async (c) => {
          const body = await readBody(c, DeleteBody)
          const wanted = body.model || body.name
          if (wanted === '') throw new AppError('invalid-request', 'model is required')
          refuseElsewhere({ upstreams }, wanted, 'delete')
          const name = parseName(wanted)
          if (name === null) throw new AppError('invalid-request', `name ${JSON.stringify(wanted)} is invalid`)
          c.get('trace').model(wanted)
          if (!(await library.delete(name))) throw new AppError('model-not-found', `model '${wanted}' not found`)
          return new Response(null, { status: 200 })
        },
      },
    },
  ]
}

/** `origin`, `state` and `problem` are ours: whose the model is, and why it cannot be run now. */
function listed({ name, modifiedAt, sizeBytes, digest, details, capabilities, origin, problem }: ModelSummary) {
  const shown = displayName(name)
  return {
    name: shown,
    model: shown,
    modified_at: localTime(modifiedAt),
    size: sizeBytes,
    digest,
    details: {
      ...shortDetails(details),
      ...(details.contextLength && { context_length: details.contextLength }),
      ...(details.embeddingLength && { embedding_length: details.embeddingLength }),
    },
    ...(capabilities.length > 0 && { capabilities }),
    origin,
    ...(problem && { state: problem.state, problem: problem.text }),
  }
}

/** `runner` is ours: what the program is doing with the model, and why it is there. */
function loaded({ label, sizeBytes, vramBytes, contextLength, expiresAt, ...model }: ResidentModel) {
  return {
    name: label.name,
    model: label.name,
    size: sizeBytes,
    digest: label.digest,
    // The label carries what generation put there: the model's details.
    details: shortDetails(label.details as ModelDetails),
    expires_at: localTime(expiresAt),
    size_vram: vramBytes,
    context_length: contextLength,
    runner: {
      state: model.state,
      progress: model.progress,
      build: model.build,
      gpu_layers: model.gpuLayers,
      slots: model.slots,
      running: model.running,
      queued: model.queued,
      since: localTime(model.since),
      reason: model.reason,
    },
  }
}

function shortDetails({ parentModel, format, family, families, parameterSize, quantizationLevel }: Omit<ModelDetails, 'contextLength' | 'embeddingLength'>) {
  return { parent_model: parentModel, format, family, families, parameter_size: parameterSize, quantization_level: quantizationLevel }
}
