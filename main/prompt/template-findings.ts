import type { RenderTemplate } from './jinja.ts'

const mostTemplates = 64

/** What rendering has shown of templates, kept with the renderer that showed it. */
export class TemplateFindings<T> {
  readonly #found = new WeakMap<RenderTemplate, Map<string, T>>()

  /** The finding for one template, sought once. */
  async of(render: RenderTemplate, template: string, find: () => Promise<T>): Promise<T> {
    const known = this.#found.get(render) ?? new Map<string, T>()
    this.#found.set(render, known)
    if (known.has(template)) return known.get(template) as T
    const fresh = await find()
    if (known.size >= mostTemplates) known.clear()
    known.set(template, fresh)
    return fresh
  }
}
