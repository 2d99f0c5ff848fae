import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { onPath } from './on-path.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { startTokenServer, type TokenServer } from './token-server.ts'

const program = onPath('docker-registry')

/** False where Debian’s `docker-registry` is not installed. */
export const hasRegistry = program !== null
if (!hasRegistry) console.log('left out: pull and push with a real registry (docker-registry is not installed)')

/** Token authorisation needs a certificate. */
export const hasTokenRegistry = hasRegistry && onPath('openssl') !== null
if (hasRegistry && !hasTokenRegistry) console.log('left out: a registry that asks for tokens (openssl is not installed)')

/** Whom the registry with `auth: 'basic'` lets in. */
export const basicUser = { name: 'paddock', password: 'let me in' }
const basicUserLine = `${basicUser.name}:$2b$04$wswBagOCRwh6LUnTwx870eQQZxe7oN/xq/T5Hal.odPikPpHnkbGi\n`

export interface Registry extends AsyncDisposable {
  url: string
  /** Host part of a name: `127.0.0.1:40001`. */
  host: string
  /** Hands out its tokens; only with `auth: 'token'`. */
  tokens: TokenServer | null
  /** Kills it; what it stores stays. */
  kill(): Promise<void>
  /** Starts it again at the same address, with what it stored. */
  start(): Promise<void>
}

interface RegistryOptions {
  auth?: 'none' | 'basic' | 'token'
  /** Where callers are sent for a token, if not to the token server itself: a proxy before it. */
  realm?: string
}

/** Debian's `docker-registry` on a free port of loopback, its files in a temporary folder. */
export async function startRegistry({ auth = 'none', realm }: RegistryOptions = {}): Promise<Registry> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder()).path
  const tokens = auth === 'token' ? stack.use(await startTokenServer(folder)) : null
  if (auth === 'basic') await writeFile(path.join(folder, 'users'), basicUserLine)
  const authentication = {
    ...(auth === 'basic' && { auth: { htpasswd: { realm: 'paddock tests', path: path.join(folder, 'users') } } }),
    ...(tokens && { auth: { token: { ...tokens.registryConfig, ...(realm && { realm }) } } }),
  }
  let child: ChildProcess | null = null
  let address = '127.0.0.1:0'

  async function start(): Promise<void> {
    const config = path.join(folder, 'config.yml')
    await writeFile(config, JSON.stringify({ ...configuration(folder, address), ...authentication }))
    child = spawn(program as string, ['serve', config], { stdio: ['ignore', 'ignore', 'pipe'] })
    address = `127.0.0.1:${await portOf(child)}`
  }
  async function kill(): Promise<void> {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const end = once(child, 'exit')
    child.kill('SIGKILL')
    await end
  }

  stack.defer(kill)
  await start()
  const owned = stack.move()
  return { url: `http://${address}`, host: address, tokens, kill, start, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** YAML, of which JSON is a part. The secret signs the state of uploads, which a restart must not end. */
function configuration(folder: string, address: string): object {
  return {
    version: 0.1,
    log: { level: 'info', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: path.join(folder, 'data') }, delete: { enabled: true }, maintenance: { uploadpurging: { enabled: false } } },
    http: { addr: address, secret: 'the same at each start' },
  }
}

/** Waits for the line that names the port; the pipe is read to its end, so that the registry never waits. */
async function portOf(child: ChildProcess): Promise<number> {
  const lines: string[] = []
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      lines.push(line)
      const port = /listening on [\d.]+:(\d+)/.exec(line)?.[1]
      if (port !== undefined) resolve(Number(port))
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => reject(new Error(`docker-registry ended (${code ?? signal}):\n${lines.join('\n')}`)))
  })
}
