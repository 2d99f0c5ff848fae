import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { Connection } from './connection.ts'
import type { UpstreamProtocol } from './engine.ts'
import { largestListBytes } from './shapes.ts'

const Version = z.object({ version: z.string() })
const Models = z.object({ models: z.array(z.unknown()).nullable() })
const Data = z.object({ data: z.array(z.unknown()).nullable() })

/** Which protocol an engine speaks, found by asking it. Throws the AppError of an engine that does not answer, or speaks neither. */
export async function detectProtocol(connection: Connection, signal: AbortSignal): Promise<UpstreamProtocol> {
  const answers = async (schema: z.ZodType, path: string) => {
    try {
      await connection.json(schema, 'GET', path, null, signal, largestListBytes)
      return null
    } catch (error) {
      if (error instanceof AppError && error.code !== 'upstream-unreachable') return error
      throw error
    }
  }
  // llama.cpp's server has the list too, but not the version.
  if ((await answers(Version, '/api/version')) === null && (await answers(Models, '/api/tags')) === null) return 'ollama'
  const problem = await answers(Data, '/v1/models')
  if (problem === null) return 'openai'
  throw new AppError('invalid-request', `no protocol of engines is spoken there: neither /api/tags nor /v1/models answers (${problem.message})`, {
    cause: problem,
  })
}
