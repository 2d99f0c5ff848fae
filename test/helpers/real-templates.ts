import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { RenderTemplate } from '../../main/prompt/jinja.ts'
import { forkSpawner } from '../../main/runtime/process.ts'
import { TemplateRenderer } from '../../main/runtime/template-renderer.ts'
import { hasLlamaSource, llamaSourceFile } from './llama-source.ts'

/** Names of the chat templates inside the runtime package's source bundle; none where it cannot be unpacked. */
export const realTemplates: readonly string[] = (await hasLlamaSource())
  ? Object.keys(JSON.parse(readFileSync(new URL('../fixtures/templates/expected.json', import.meta.url), 'utf8')).rendered)
  : []

/** The text of one of them. */
export async function realTemplate(file: string): Promise<string> {
  return readFile(await llamaSourceFile(`models/templates/${file}`), 'utf8')
}

/** A template process for one test file, which disposes it. */
export function startRenderer(): { render: RenderTemplate } & AsyncDisposable {
  const renderer = new TemplateRenderer({
    spawn: forkSpawner(),
    entry: fileURLToPath(new URL('../../main/runtime/template-process/main.ts', import.meta.url)),
  })
  return { render: renderer.render.bind(renderer), [Symbol.asyncDispose]: () => renderer[Symbol.asyncDispose]() }
}
