#!/usr/bin/env node
// What `npm start`, every script and the `paddock` command run: goes on under Node 24, then starts the app, the server or a command.
// Plain JavaScript that any Node from 20 on reads.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import module from 'node:module'
import { homedir } from 'node:os'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const wantedMajor = 24

/** This process's own Node if it is new enough, else the platform package among our optional dependencies, else null. */
function findNode() {
  if (Number(process.versions.node.split('.')[0]) >= wantedMajor) return process.execPath
  const platform = process.platform === 'win32' ? 'win' : process.platform
  const file = path.join(root, 'node_modules', `node-${platform}-${process.arch}`, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  return existsSync(file) ? file : null
}

/** Electron's executable, without loading its package: that would start a download. */
function findElectron() {
  const name = { darwin: 'Electron.app/Contents/MacOS/Electron', win32: 'electron.exe' }[process.platform] ?? 'electron'
  const folder = process.env.ELECTRON_OVERRIDE_DIST_PATH ?? path.join(root, 'node_modules', 'electron', 'dist')
  const file = path.join(folder, name)
  return existsSync(file) ? file : null
}

/** Why no window can be opened here, or null. */
function whyNoWindow(electron) {
  if (electron === null) return 'Electron is not installed: "npm run electron:install" fetches it'
  if (process.platform === 'linux' && !process.env.WAYLAND_DISPLAY && !process.env.DISPLAY) return 'no display'
  return null
}

function newestChange(folder) {
  return Math.max(0, ...readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => statSync(path.join(entry.parentPath, entry.name)).mtimeMs))
}

/** The built window is missing, or a source is newer than it. */
function isStale() {
  const built = path.join(root, 'dist', 'renderer', 'index.html')
  if (!existsSync(built)) return true
  const sources = ['main', 'renderer'].filter((folder) => existsSync(path.join(root, folder)))
  return sources.some((folder) => newestChange(path.join(root, folder)) > statSync(built).mtimeMs)
}

/** Runs a program in the foreground and gives its exit code; signals reach it through us. */
function run(file, args) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: 'inherit', cwd: process.cwd() })
    const forward = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => [signal, () => child.kill(signal)])
    for (const [signal, send] of forward) process.on(signal, send)
    child.on('error', (error) => {
      console.error(`Paddock could not start ${file}: ${error.message}`)
      resolve(1)
    })
    child.on('exit', (code, signal) => {
      for (const [name, send] of forward) process.off(name, send)
      resolve(signal ? 1 : (code ?? 1))
    })
  })
}

/** Where compiled code is kept: a folder that its user alone writes to, as what lies there is run. Node's own choice is shared by all users. */
function compileCacheFolder() {
  const { env, platform } = process
  if (env.NODE_COMPILE_CACHE) return env.NODE_COMPILE_CACHE
  if (env.PADDOCK_HOME) return path.resolve(env.PADDOCK_HOME, 'cache', 'compile')
  if (platform === 'win32') return path.join(env.LOCALAPPDATA || path.join(homedir(), 'AppData', 'Local'), 'Paddock', 'compile')
  if (platform === 'darwin') return path.join(homedir(), 'Library', 'Caches', 'Paddock', 'compile')
  return path.join(env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'paddock', 'compile')
}

async function runUnderNode(node, file, args) {
  if (node !== process.execPath) return run(node, ['--disable-warning=ExperimentalWarning', fileURLToPath(import.meta.url), '--node', file, ...args])
  // Before the first TypeScript file: with every file in the cache, Node never loads what strips the types, a tenth of a start and most of a runner's.
  process.env.NODE_COMPILE_CACHE = compileCacheFolder() // for the child processes
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE)
  process.argv = [process.execPath, file, ...args]
  await import(pathToFileURL(file).href)
  return undefined
}

const node = findNode()
if (node === null) {
  console.error(
    `Paddock needs Node ${wantedMajor} or newer; this is ${process.version}, and no copy for ${process.platform}-${process.arch} is among the installed packages.\n` +
      `Install Node ${wantedMajor} from https://nodejs.org (macOS: brew install node@${wantedMajor}) and run the command again.`,
  )
  process.exit(1)
}

const [first, ...rest] = process.argv.slice(2)
const serve = path.join(root, 'main', 'serve.ts')
let code
if (first === '--node') {
  // `--node FILE ARGS…`: a tool of package.json, under the right Node.
  code = await runUnderNode(node, path.resolve(root, rest[0]), rest.slice(1))
} else if (first === undefined) {
  const electron = findElectron()
  const reason = whyNoWindow(electron)
  if (reason !== null) code = await runUnderNode(node, serve, ['serve', '--without-window', reason])
  else {
    const { main } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
    const vite = path.join(root, 'node_modules', 'vite', 'bin', 'vite.js')
    if (isStale() || !existsSync(path.join(root, main))) code = await run(node, [vite, 'build', '--logLevel', 'warn'])
    if (!code) code = await run(electron, [root])
  }
} else code = await runUnderNode(node, serve, process.argv.slice(2))
if (code !== undefined) process.exitCode = code
