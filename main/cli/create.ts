import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { type Modelfile, parseModelfile } from '../models/modelfile.ts'
import { parseParameters } from '../models/parameters.ts'
import type { Command, Context } from './command.ts'
import { findFiles, hashFile, type LocalFile, readFileParts, resolvePath } from './local-models.ts'
import { Progress } from './progress.ts'
import { followProgress } from './transfer.ts'

export const createCommand: Command = {
  name: 'create',
  usage: 'MODEL',
  about: 'Make a model from a Modelfile',
  flags: [
    { name: 'file', short: 'f', type: 'text', about: 'Modelfile to read (default "Modelfile"); - reads standard input' },
    { name: 'quantize', short: 'q', type: 'text', about: 'Quantize to this level, such as q4_K_M' },
    { name: 'draft-quantize', type: 'text', about: 'Quantize the draft model to this level' },
  ],
  words: [1, 1],
  async run(context, { words: [model], flags }) {
    const { text, folder } = await readModelfile(context, flags.text('file'))
    const modelfile = parseModelfile(text)
    const parts = await gatherParts(context, modelfile, folder)
    await followProgress(context, '/api/create', {
      model,
      ...parts,
      ...words(modelfile),
      ...optional({ quantize: flags.text('quantize'), draft_quantize: flags.text('draft-quantize') }),
    })
  },
}

/** Without `-f` and without a Modelfile, the model in the current folder is meant. */
async function readModelfile({ terminal }: Context, file: string | null): Promise<{ text: Uint8Array; folder: string }> {
  if (file === '-') return { text: await buffer(terminal.input), folder: process.cwd() }
  const at = path.resolve(file ?? 'Modelfile')
  try {
    return { text: await readFile(at), folder: path.dirname(at) }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
    if (file === null) return { text: Buffer.from('FROM .\n'), folder: process.cwd() }
    throw new Error(`there is no Modelfile at ${at}`, { cause })
  }
}

/** What is no file: passed on as it is. */
function words({ template, system, renderer, parser, requires, parameters, licenses, messages }: Modelfile): object {
  return {
    ...optional({ template, system, renderer, parser, requires }),
    ...(parameters.length > 0 && { parameters: parseParameters(parameters) }),
    ...(licenses.length > 0 && { license: licenses }),
    ...(messages.length > 0 && { messages }),
  }
}

/** Files go to the server as blobs and are named by their digests; a FROM that is no path is a model's name. */
async function gatherParts(context: Context, modelfile: Modelfile, folder: string): Promise<object> {
  const base: LocalFile[] = []
  const names: string[] = []
  for (const from of modelfile.from) {
    const files = await findFiles(resolvePath(from, folder))
    if (files) base.push(...files)
    else if (looksLikePath(from)) throw new Error(`there is no file or folder ${resolvePath(from, folder)}`)
    else names.push(from)
  }
  const adapters = await Promise.all(modelfile.adapters.map((adapter) => requireFiles(adapter, folder)))
  const draft = modelfile.draft === null ? [] : await requireFiles(modelfile.draft, folder)
  using progress = new Progress(context.terminal.errors)
  const digests = async (files: LocalFile[]) => (files.length > 0 ? await uploadFiles(context, files, progress) : null)
  return optional({
    from: names.at(-1) ?? null,
    files: await digests(base),
    adapters: await digests(adapters.flat()),
    draft_files: await digests(draft),
  })
}

/** A mistyped path is not worth asking a registry for. */
function looksLikePath(argument: string): boolean {
  return /^[~./\\]|^[A-Za-z]:[\\/]|\.(gguf|safetensors|bin)$/i.test(argument)
}

async function requireFiles(argument: string, folder: string): Promise<LocalFile[]> {
  const at = resolvePath(argument, folder)
  const files = await findFiles(at)
  if (files === null) throw new Error(`there is no file or folder ${at}`)
  return files
}

/** Digests by name; what the server has already is not sent again. */
async function uploadFiles({ client }: Context, files: LocalFile[], progress: Progress): Promise<Record<string, string>> {
  const digests: Record<string, string> = {}
  for (const { file, name, sizeBytes } of files) {
    if (digests[name] !== undefined) throw new Error(`two files are named ${name}: give one of them another name`)
    const digest = await hashFile(file, (bytes) => progress.bar(`hash ${file}`, `reading ${name}`, bytes, sizeBytes))
    digests[name] = digest
    const blob = `/api/blobs/${digest}`
    if (await client.has(blob)) continue
    await client.upload(
      blob,
      readFileParts(file, (bytes) => progress.bar(`send ${file}`, `copying ${name}`, bytes, sizeBytes)),
      sizeBytes,
    )
  }
  return digests
}

function optional(fields: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))
}
