import { Lexer, Marked, type RendererObject, type Tokens } from 'marked'
import { highlight } from './highlight.ts'

/** A paragraph, list, table, code block …; the same object as long as its HTML is the same. */
export interface Block {
  readonly html: string
}

/** Words on the controls of a block. */
export interface BlockText {
  copyCode: string
}

/** Tags without attributes that models write into Markdown; all other HTML is shown as the text it is. */
const harmlessTag = /^<\/?(?:br|sub|sup|kbd|b|i|em|strong|u|s|mark)\s*\/?>$/i

/**
 * The Markdown of a text that grows: only its last block is read again.
 *
 * The HTML is built from escaped text; the page sanitises it once more before it is shown.
 */
export class MarkdownBlocks {
  readonly #marked: Marked<string, string>
  #text = ''
  #parts: Part[] = []

  constructor(words: BlockText) {
    this.#marked = new Marked<string, string>({ gfm: true, breaks: false, renderer: renderer(words) })
  }

  update(text: string): Block[] {
    const source = text.replaceAll('\r\n', '\n')
    const before = source.startsWith(this.#text) ? this.#parts : []
    const parts = before.slice(0, -1)
    const last = before.at(-1)

    const lexer = new Lexer(this.#marked.defaults)
    for (const { link } of parts) if (link !== null) lexer.tokens.links[link.tag] ??= link
    let at = last?.start ?? 0
    for (const token of lexer.lex(source.slice(at))) {
      if (token.type !== 'space') {
        const html = token.type === 'def' ? '' : this.#marked.parser([token])
        const block = at === last?.start && html === last.block.html ? last.block : { html }
        parts.push({ start: at, block, link: token.type === 'def' ? (token as Tokens.Def) : null })
      }
      at += token.raw.length
    }
    this.#text = source
    this.#parts = parts
    return parts.filter(({ block }) => block.html !== '').map(({ block }) => block)
  }
}

/** A block of the source and where it begins; a link's definition shows nothing but serves the blocks behind it. */
interface Part {
  start: number
  block: Block
  link: Tokens.Def | null
}

function renderer(words: BlockText): RendererObject<string, string> {
  return {
    code({ text, lang }) {
      const language = (lang ?? '').match(/^[\w+#.-]+/)?.[0] ?? ''
      return (
        `<div class="code"><div class="code-bar"><span>${escapeHtml(language)}</span>` +
        `<button type="button" data-copy-code>${escapeHtml(words.copyCode)}</button></div>` +
        `<pre><code>${highlight(text, language) ?? escapeHtml(text)}</code></pre></div>\n`
      )
    },
    html({ text }) {
      return harmlessTag.test(text.trim()) ? text : escapeHtml(text)
    },
    link({ href, tokens }) {
      const label = this.parser.parseInline(tokens)
      if (!/^(https?|mailto):/i.test(href)) return label
      return `<a href="${escapeHtml(href)}" title="${escapeHtml(href)}" target="_blank" rel="noreferrer noopener">${label}</a>`
    },
    // Loading a picture would tell its host that the reply was read, so it stays a link.
    image({ href, text }) {
      const label = escapeHtml(text === '' ? href : text)
      if (!/^https?:/i.test(href)) return label
      return `<a href="${escapeHtml(href)}" title="${escapeHtml(href)}" target="_blank" rel="noreferrer noopener">${label}</a>`
    },
    // The box is the mark of its item.
    listitem({ task, tokens }) {
      return `<li${task ? ' class="task"' : ''}>${this.parser.parse(tokens)}</li>\n`
    },
    checkbox({ checked }) {
      return checked ? '☑ ' : '☐ '
    },
  }
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;')
}
