import { attachFiles } from './attachments.ts'
import { ServerError } from './client.ts'
import type { Context } from './command.ts'
import { LoadingIndicator } from './loading.ts'
import type { ChatMessage, ReplyLine, RequestSettings, ShowAnswer, TagsAnswer } from './protocol.ts'
import { metricsText, type ReplyStyle, ReplyWriter, truncationText } from './reply-writer.ts'

/** What `run` was asked for, and what its prompt may change. */
export interface SessionSettings extends RequestSettings, ReplyStyle {
  model: string
  system: string | null
  verbose: boolean
  keepHistory: boolean
}

/** One conversation, or one question, with a model. */
export class Session {
  readonly settings: SessionSettings
  messages: ChatMessage[] = []
  /** Of the model, empty until `open`. */
  capabilities: string[] = []
  readonly #context: Context

  constructor(context: Context, settings: SessionSettings) {
    this.#context = context
    this.settings = settings
  }

  /** Asks what the model is. Without it, an Error says how to get it and what there is. */
  async open(): Promise<ShowAnswer> {
    const { terminal } = this.#context
    const { model } = this.settings
    const answer = await describeModel(this.#context, model)
    this.capabilities = answer.capabilities ?? []
    if (this.settings.think !== null && this.settings.think !== false && !this.capabilities.includes('thinking')) {
      terminal.errors.write(`Warning: ${model} does not think\n`)
      this.settings.think = null
    }
    return answer
  }

  /** Loads the model ahead of the first question. */
  async load(signal?: AbortSignal): Promise<void> {
    const { model, options, keepAlive } = this.settings
    using _indicator = new LoadingIndicator(this.#context, model)
    const body = { model, options, ...(keepAlive !== null && { keep_alive: keepAlive }) }
    await this.#context.client.call('POST', '/api/generate', body, signal)
  }

  /** Answers in the conversation. What came of a reply that was stopped stays in it; a question that failed does not. */
  async chat(prompt: string, signal?: AbortSignal): Promise<void> {
    const { terminal } = this.#context
    const { text, images, files } = await this.#attach(prompt)
    for (const file of files) terminal.output.write(`Added '${file}'\n`)
    const question: ChatMessage = { role: 'user', content: text, ...(images.length > 0 && { images }) }
    const { system } = this.settings
    const messages = [...(system === null ? [] : [{ role: 'system', content: system }]), ...this.messages, question]
    const reply = await this.#follow(messages, signal)
    this.messages.push(question)
    if (reply.content !== '') this.messages.push(reply)
  }

  /** The vector of a text, as JSON. */
  async embed(text: string, { truncate, dimensions }: { truncate: boolean | null; dimensions: number | null }): Promise<void> {
    const { model, options, keepAlive } = this.settings
    const body = {
      model,
      input: text,
      options,
      ...(keepAlive !== null && { keep_alive: keepAlive }),
      ...(truncate !== null && { truncate }),
      ...(dimensions !== null && { dimensions }),
    }
    using indicator = new LoadingIndicator(this.#context, model)
    const { embeddings } = await this.#context.client.call<{ embeddings: number[][] }>('POST', '/api/embed', body)
    indicator[Symbol.dispose]()
    this.#context.terminal.output.write(`${JSON.stringify(embeddings[0] ?? [])}\n`)
  }

  async #attach(prompt: string) {
    const takesFiles = this.capabilities.includes('vision') || this.capabilities.includes('audio')
    return takesFiles ? attachFiles(prompt) : { text: prompt, images: [], files: [] }
  }

  /** Shows a reply while it comes and gives what came of it. */
  async #follow(messages: ChatMessage[], signal?: AbortSignal): Promise<ChatMessage> {
    const { client, terminal } = this.#context
    const writer = new ReplyWriter(terminal.output, this.settings)
    const reply = { role: 'assistant', content: '', thinking: '' }
    let last: ReplyLine | null = null
    try {
      using indicator = new LoadingIndicator(this.#context, this.settings.model)
      for await (const line of client.stream<ReplyLine>('/api/chat', { ...this.#requestFields(), messages }, signal)) {
        const { content, thinking = '' } = line.message
        if (content + thinking !== '') indicator[Symbol.dispose]()
        writer.thinking(thinking)
        writer.text(content)
        reply.thinking += thinking
        reply.content += content
        if (line.done) last = line
      }
      if (last === null) throw new Error('the reply broke off before its end')
    } catch (error) {
      if (!signal?.aborted) throw error
    } finally {
      writer.end()
    }
    if (last) this.#report(last)
    return { role: reply.role, content: reply.content, ...(reply.thinking !== '' && { thinking: reply.thinking }) }
  }

  #requestFields(): object {
    const { model, options, format, think, keepAlive } = this.settings
    return {
      model,
      options,
      ...(format !== null && { format }),
      ...(think !== null && { think }),
      ...(keepAlive !== null && { keep_alive: keepAlive }),
    }
  }

  #report(last: ReplyLine): void {
    const { errors } = this.#context.terminal
    const note = truncationText(last)
    if (note === '' && !this.settings.verbose) return
    errors.write(`\n${errors.isTTY ? '\n' : ''}${note}${this.settings.verbose ? metricsText(last) : ''}`)
  }
}

/** What the server says of a model. Throws an Error that names ways to get one that is missing. */
export async function describeModel({ client }: Pick<Context, 'client'>, model: string): Promise<ShowAnswer> {
  try {
    return await client.call<ShowAnswer>('POST', '/api/show', { model })
  } catch (error) {
    if (!(error instanceof ServerError) || error.status !== 404) throw error
    const { models } = await client.call<TagsAnswer>('GET', '/api/tags')
    const names = models.map(({ name }) => name).slice(0, 10)
    const installed = names.length > 0 ? `, or run one that is here: ${names.join(', ')}` : ''
    throw new Error(`model '${model}' is not here: get it with "paddock pull ${model}"${installed}`, { cause: error })
  }
}
