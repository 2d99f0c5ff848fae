import type { Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { json } from '../wire.ts'

/** The version of the protocol that we implement; clients switch features on by it. */
export const protocolVersion = '0.33.0'

/** What the server is and what it computes with. */
export function statusRoutes({ hardware, config, version }: Pick<ApiServices, 'hardware' | 'config' | 'version'>): Route[] {
  const root = () => new Response('Ollama is running', { headers: { 'content-type': 'text/plain; charset=utf-8' } })
  const about = () => json({ version: protocolVersion, paddock: version })
  return [
    { path: '/', scope: null, summary: 'Says that the server runs', handlers: { GET: root, HEAD: root } },
    { path: '/api/version', scope: 'use', summary: 'The version of the protocol, and ours beside it', handlers: { GET: about, HEAD: about } },
    {
      path: '/api/status',
      scope: 'use',
      summary: 'What the machine computes with',
      handlers: {
        GET: () => {
          const { cpu, build, builds, devices } = hardware()
          return json({
            cloud: { disabled: config.noCloud, source: config.noCloud ? 'env' : 'none' },
            hardware: {
              cpu: { model: cpu.model, physical_cores: cpu.physicalCores, total_bytes: cpu.totalBytes },
              build,
              devices: devices.map(device),
              builds: builds.map(({ target, state, reason, devices: own }) => ({ target, state, reason, devices: own.map(device) })),
            },
          })
        },
      },
    },
  ]
}

function device({ name, description, kind, freeBytes, totalBytes }: ReturnType<ApiServices['hardware']>['devices'][number]) {
  return { name, description, kind, free_bytes: freeBytes, total_bytes: totalBytes }
}
