import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { readConfig } from '../../main/config.ts'
import { Log } from '../../main/lib/log.ts'
import { forkSpawner, type Spawn } from '../../main/runtime/process.ts'
import { type Services, startServer } from '../../main/server.ts'
import { hasAmx } from './processor.ts'
import { temporaryFolder } from './temporary-folder.ts'

const root = path.resolve(import.meta.dirname, '../..')
const runtime = path.join(root, 'main/runtime')

export interface TestServer extends AsyncDisposable {
  url: string
  /** The models' folder; the models that ship are in the library beside it. */
  models: string
  services: Services
  /** Requests that hold a runner or wait for one. */
  slotsInUse(): number
  /** What it has logged. */
  log: readonly string[]
}

/** Runners that compute as those of the recordings did, so that greedy texts are equal on any processor of the kind. */
function asRecorded(spawn: Spawn): Spawn {
  if (!hasAmx) return spawn
  const preload = `--import ${pathToFileURL(path.join(import.meta.dirname, 'without-amx.ts'))}`
  return (file, options) => spawn(file, file.includes('runner-process') ? { ...options, env: { ...options.env, NODE_OPTIONS: preload } } : options)
}

/** Sees each message that goes to a child process, by the folder of that process. */
type Watch = (child: string, message: { type?: string }) => void

function watched(spawn: Spawn, watch: Watch | undefined): Spawn {
  if (watch === undefined) return spawn
  return (file, options) => {
    const child = spawn(file, options)
    const post = (message: unknown) => {
      watch(path.basename(path.dirname(file)), message as { type?: string })
      child.post(message)
    }
    return new Proxy(child, { get: (target, key) => (key === 'post' ? post : bound(target, Reflect.get(target, key))) })
  }
}

function bound(target: object, value: unknown): unknown {
  return typeof value === 'function' ? value.bind(target) : value
}

/** The whole server in this process, with everything real, in folders of its own and on a free port. */
export async function startTestServer({ env = {}, watch }: { env?: Record<string, string>; watch?: Watch } = {}): Promise<TestServer> {
  await using stack = new AsyncDisposableStack()
  const home = stack.use(await temporaryFolder()).path
  const models = path.join(home, 'models')
  const variables = { HOME: home, PADDOCK_HOME: home, OLLAMA_MODELS: models, OLLAMA_HOST: '127.0.0.1:0', PADDOCK_ORIGINS: 'none', ...env }
  const log: string[] = []
  const server = stack.use(
    await startServer(readConfig(variables), {
      spawn: watched(asRecorded(forkSpawner(process.env)), watch),
      entries: {
        runner: path.join(runtime, 'runner-process/main.ts'),
        probe: path.join(runtime, 'probe-process/main.ts'),
        template: path.join(runtime, 'template-process/main.ts'),
        quantize: path.join(runtime, 'quantize-process/main.ts'),
      },
      bundledModelsFolder: path.join(root, 'resources/models'),
      version: '0.0.0-test',
      log: new Log('debug', (line) => log.push(line)),
    }),
  )
  const owned = stack.move()
  return {
    url: server.url,
    models,
    services: server.services,
    slotsInUse: () => server.services.scheduler.resident().reduce((sum, { running, queued }) => sum + running + queued, 0),
    log,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
