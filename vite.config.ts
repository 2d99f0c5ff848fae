import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { builtinModules } from 'node:module'
import path from 'node:path'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { createBuilder, type EnvironmentOptions, type Plugin, type ViteDevServer } from 'vite'
import { defineConfig } from 'vitest/config'

const root = import.meta.dirname
const at = (...parts: string[]) => path.join(root, ...parts)

/** What a bundle leaves to the machine: Node's own modules, Electron, and the packages with native code. */
const external = [/^node:/, ...builtinModules, /^electron(\/.*)?$/, /^koffi$/, /^@koromix\//, /^node-llama-cpp(\/.*)?$/, /^@node-llama-cpp\//]

/** Pages of the dev server: Vite puts styles inline and talks to its page by a socket. */
const devPolicy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self' ws://127.0.0.1:*; object-src 'none'"

function nodeSide(input: Record<string, string>, folder: string, format: 'es' | 'cjs'): EnvironmentOptions {
  return {
    consumer: 'server',
    resolve: { noExternal: true, conditions: ['node', 'import', 'default'] },
    build: {
      outDir: at('dist', folder),
      emptyOutDir: true,
      ssr: true,
      copyPublicDir: false,
      minify: false,
      sourcemap: true,
      target: format === 'cjs' ? 'chrome156' : 'node24',
      rolldownOptions: {
        input,
        platform: 'node',
        external,
        output: {
          format,
          entryFileNames: format === 'cjs' ? '[name].cjs' : '[name].js',
          chunkFileNames: 'chunks/[name]-[hash].js',
          ...(format === 'cjs' ? { codeSplitting: false } : {}),
        },
      },
    },
  }
}

/** Electron's executable. Its package is not loaded to ask: that would start a download. */
function electronBinary(): string {
  const name = { darwin: 'Electron.app/Contents/MacOS/Electron', win32: 'electron.exe' }[process.platform as string] ?? 'electron'
  const file = path.join(process.env.ELECTRON_OVERRIDE_DIST_PATH ?? at('node_modules/electron/dist'), name)
  if (!existsSync(file)) throw new Error('Electron is not installed: "npm run electron:install" fetches it')
  return file
}

/** `npm run dev`: builds main and preload whenever they change, and starts the app again; the page is reloaded in place. */
function app(): Plugin {
  let child: ChildProcess | undefined
  let generation = 0

  async function restart(server: ViteDevServer): Promise<void> {
    const mine = ++generation
    if (child !== undefined && child.exitCode === null) {
      const gone = new Promise((resolve) => child?.once('exit', resolve))
      child.kill('SIGTERM')
      await gone
    }
    if (mine !== generation) return
    const url = server.resolvedUrls?.local[0] ?? ''
    child = spawn(electronBinary(), [root, `--dev-server=${url}`], { cwd: root, stdio: 'inherit' })
    child.once('exit', (code) => {
      if (mine === generation && code !== null) void server.close().then(() => process.exit(code))
    })
  }

  async function watch(server: ViteDevServer): Promise<void> {
    const builder = await createBuilder({ configFile: at('vite.config.ts'), mode: 'development', logLevel: 'warn' })
    for (const name of ['preload', 'main']) {
      const environment = builder.environments[name]
      if (environment === undefined) throw new Error(`no environment ${name}`)
      environment.config.build.watch = {}
      const watcher = await builder.build(environment)
      if (!('on' in watcher)) throw new Error('watch mode expected')
      let first = true
      await new Promise<void>((resolve) =>
        watcher.on('event', (event) => {
          if (event.code === 'BUNDLE_END') void event.result.close()
          if (event.code === 'ERROR') server.config.logger.error(`${name}: ${event.error.message}`)
          if (event.code !== 'END') return
          if (first) {
            first = false
            resolve()
          } else if (name === 'preload') server.ws.send({ type: 'full-reload' })
          else void restart(server)
        }),
      )
    }
    await restart(server)
  }

  return {
    name: 'app',
    apply: (_, { command, mode }) => command === 'serve' && mode !== 'test',
    configureServer(server) {
      server.httpServer?.once('listening', () => {
        watch(server).catch((error: unknown) => {
          server.config.logger.error(error instanceof Error ? error.message : String(error))
          process.exit(1)
        })
      })
      server.httpServer?.once('close', () => child?.kill('SIGTERM'))
    },
  }
}

/** What a test waits for comes when it comes: on a busy machine a second is nothing. */
const patience = { poll: { timeout: 20_000 } }

export default defineConfig({
  root: at('renderer'),
  base: './',
  clearScreen: false,
  plugins: [svelte({ configFile: false }), app()],
  server: { host: '127.0.0.1', port: 5173, headers: { 'Content-Security-Policy': devPolicy } },
  environments: {
    client: { build: { outDir: at('dist/renderer'), emptyOutDir: true, target: 'chrome156', modulePreload: { polyfill: false } } },
    main: nodeSide(
      {
        app: at('main/app.ts'),
        serve: at('main/serve.ts'),
        runner: at('main/runtime/runner-process/main.ts'),
        probe: at('main/runtime/probe-process/main.ts'),
        template: at('main/runtime/template-process/main.ts'),
        quantize: at('main/runtime/quantize-process/main.ts'),
      },
      'main',
      'es',
    ),
    preload: nodeSide({ preload: at('main/desktop/preload.ts') }, 'preload', 'cjs'),
  },
  builder: {
    async buildApp(builder) {
      for (const environment of Object.values(builder.environments)) {
        if (['client', 'main', 'preload'].includes(environment.name)) await builder.build(environment)
      }
    },
  },
  test: {
    root,
    maxWorkers: 2,
    reporters: ['default', './test/helpers/summary-reporter.ts'],
    projects: [
      {
        root,
        test: {
          name: 'node',
          include: ['test/main/**/*.test.ts', 'test/api/**/*.test.ts'],
          environment: 'node',
          pool: 'forks',
          testTimeout: 30_000,
          hookTimeout: 60_000,
          expect: patience,
        },
      },
      {
        root,
        resolve: { conditions: ['browser'] },
        test: { name: 'renderer', include: ['test/renderer/**/*.test.ts'], environment: 'node', expect: patience },
      },
      {
        root,
        test: {
          name: 'e2e',
          globalSetup: ['test/e2e/build.ts'],
          include: ['test/e2e/**/*.test.ts'],
          environment: 'node',
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          expect: patience,
        },
      },
    ],
  },
})
