import { readFileSync } from 'node:fs'
import path from 'node:path'
import { setFlagsFromString } from 'node:v8'
import type { Host } from './server.ts'

// Headless entry: the command line and, with `serve` or no command, the server on plain Node.

// Young objects stay in as little memory as they begin in: an idle server holds a tenth less, and a busy one is not slower for it.
setFlagsFromString('--semi-space-growth-factor=1')

const fromSources = import.meta.filename.endsWith('.ts')
const root = path.resolve(import.meta.dirname, fromSources ? '..' : '../..')
const version = (JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string }).version

/** Runs the server until the signal aborts; `note` says why there is no window. */
async function serve(signal: AbortSignal, note: string): Promise<void> {
  const [{ readConfig }, { Log }, { LogFile }, { startServer }, { forkSpawner }, { displayName }] = await Promise.all([
    import('./config.ts'),
    import('./lib/log.ts'),
    import('./lib/log-file.ts'),
    import('./server.ts'),
    import('./runtime/process.ts'),
    import('./models/name.ts'),
  ])
  const config = readConfig()
  using file = new LogFile(config.logsFolder)
  const log = new Log(config.logLevel, file.sink, (line) => process.stderr.write(`${line}\n`))
  process.on('unhandledRejection', (error) => log.error('a failure nobody waited for', error))
  const child = (folder: string, bundled: string) => path.join(import.meta.dirname, fromSources ? `runtime/${folder}/main.ts` : bundled)
  const host: Host = {
    spawn: forkSpawner(),
    entries: {
      runner: child('runner-process', 'runner.js'),
      probe: child('probe-process', 'probe.js'),
      template: child('template-process', 'template.js'),
      quantize: child('quantize-process', 'quantize.js'),
    },
    bundledModelsFolder: path.join(root, 'resources', 'models'),
    version,
    log,
  }
  await using server = await startServer(config, host)
  const models = (await server.services.library.list({ wait: false })).map(({ name }) => displayName(name))
  const have = models.length === 0 ? 'no models yet' : `models: ${models.slice(0, 5).join(', ')}${models.length > 5 ? ` and ${models.length - 5} more` : ''}`
  console.log(`Paddock ${version} ${note === '' ? 'serves' : `serves without a window (${note})`} at ${server.url}, ${have}`)
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

/** Ctrl-C and termination stop the server in order; a second one at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(130)
      stop.abort()
    })
  }
  return stop.signal
}

try {
  const { main } = await import('./cli/main.ts')
  process.exitCode = await main(process.argv.slice(2), { version, serve: (note) => serve(stopSignal(), note) })
} catch (error) {
  console.error(`Error: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
