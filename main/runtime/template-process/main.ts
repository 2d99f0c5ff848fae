import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { isJsonObject, type Json } from '../../lib/json.ts'
import { connectParent } from '../parent-port.ts'
import type { TemplateReply, TemplateRequest } from '../template-renderer.ts'

/** llama.cpp's Jinja engine, as node-llama-cpp's binding exposes it; throws Errors with a position in their text. */
interface JinjaTemplate {
  render(variables: Record<string, unknown>): string
}
type JinjaEngine = new (template: string) => JinjaTemplate

const maxTemplateChars = 1024 * 1024
const maxOutputChars = 64 * 1024 * 1024
const keptTemplates = 8
/** The engine counts in 64-bit integers and refuses a number beyond them. */
const numericLimit = 2 ** 63

const Engine = loadEngine()
const compiled = new Map<string, JinjaTemplate>()
const send = connectParent<TemplateRequest, TemplateReply>((request) => send(answer(request)))
send({ type: 'ready' })

function answer({ id, template, variables }: TemplateRequest): TemplateReply {
  try {
    if (template.length > maxTemplateChars) throw new Error(`the template is larger than ${maxTemplateChars} characters`)
    const text = compile(template).render(withinRange(variables) as Record<string, unknown>)
    if (text.length > maxOutputChars) throw new Error(`the template writes more than ${maxOutputChars} characters`)
    return { type: 'rendered', id, text }
  } catch (error) {
    return { type: 'refused', id, error: error instanceof Error ? error.message : String(error) }
  }
}

function compile(template: string): JinjaTemplate {
  const known = compiled.get(template)
  if (known !== undefined) return known
  const fresh = new Engine(template)
  const oldest = compiled.keys().next()
  if (compiled.size >= keptTemplates && !oldest.done) compiled.delete(oldest.value)
  compiled.set(template, fresh)
  return fresh
}

function withinRange(value: Json): Json {
  if (typeof value === 'number') return Math.abs(value) < numericLimit ? value : String(value)
  if (Array.isArray(value)) return value.map(withinRange)
  if (!isJsonObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withinRange(item)]))
}

/** The binding's file is not among its package's exports, so it is found beside the entry that is. */
function loadEngine(): JinjaEngine {
  const require = createRequire(import.meta.url)
  const target = `${{ darwin: 'mac', win32: 'win' }[process.platform as string] ?? process.platform}-${process.arch}`
  const build = target === 'mac-arm64' ? 'mac-arm64-metal' : target === 'linux-arm' ? 'linux-armv7l' : target
  const entry = require.resolve(`@node-llama-cpp/${build}`)
  return require(join(dirname(entry), '..', 'bins', build, 'llama-addon.node')).AddonJinjaRenderer
}
