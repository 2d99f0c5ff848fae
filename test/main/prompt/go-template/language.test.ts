import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { AppError } from '../../../../main/errors.ts'
import type { JsonObject } from '../../../../main/lib/json.ts'
import { Budget } from '../../../../main/prompt/go-template/budget.ts'
import { execute } from '../../../../main/prompt/go-template/executor.ts'
import { templateFunctions } from '../../../../main/prompt/go-template/ollama-functions.ts'
import { parseTemplate } from '../../../../main/prompt/go-template/parser.ts'
import { fromJson } from '../../../../main/prompt/go-template/values.ts'

/** What Go 1.26's own text/template gave for each template (`record.go`). */
const recording = JSON.parse(readFileSync(new URL('language.json', import.meta.url), 'utf8')) as {
  data: JsonObject
  cases: { template: string; output?: string; error?: string }[]
}
const functions = templateFunctions(() => new Date(0))

function render(text: string): { output: string } | { error: string } {
  try {
    const templates = parseTemplate(text, (name) => functions.has(name))
    return { output: execute({ text, templates, functions }, fromJson(recording.data), new Budget({ steps: 100_000, bytes: 100_000 })) }
  } catch (error) {
    if (error instanceof AppError) return { error: error.message }
    throw error
  }
}

test.each(recording.cases)('$template comes out as in Go', ({ template, ...expected }) => {
  expect(render(template)).toEqual(expected)
})
