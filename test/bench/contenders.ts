import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { freePort } from '../helpers/free-port.ts'
import { stream, type Timing, whole } from './client.ts'

const run = promisify(execFile)

export interface Prompt {
  text: string
  tokens: number
  contextLength?: number
}

/** A server that can be asked for greedy text and for embeddings, in its own dialect. */
export interface Contender extends AsyncDisposable {
  name: string
  generate(prompt: Prompt): Promise<Timing>
  /** Milliseconds for all of them in one request. */
  embed(texts: string[]): Promise<number>
}

/** Paddock or a real Ollama: the native protocol, `raw` so that templates play no part. */
export function nativeContender(name: string, url: string, model: string, threads: number): Contender {
  return {
    name,
    generate: ({ text, tokens, contextLength }) =>
      stream(`${url}/api/generate`, {
        model,
        prompt: text,
        raw: true,
        options: { temperature: 0, num_predict: tokens, num_thread: threads, num_ctx: contextLength ?? 2048 },
      }),
    embed: async (texts) => (await whole(`${url}/api/embed`, { model, input: texts, options: { num_thread: threads } })).ms,
    [Symbol.asyncDispose]: async () => undefined,
  }
}

/** llama.cpp's own server on the same file, with as many slots of 2,048 tokens as will be asked for at a time. */
export async function llamaServer(
  program: string,
  file: string,
  threads: number,
  { slots = 1, embedding = false, contextLength = 2048 } = {},
): Promise<Contender> {
  const port = await freePort()
  const shape = embedding
    ? ['--embedding', '-c', '2048', '-b', '2048', '-ub', '2048', '-np', '32', '-kvu']
    : ['-c', String(contextLength * slots), '-np', String(slots), '--no-kv-unified']
  const child = spawn(program, ['-m', file, '--port', String(port), '-t', String(threads), '--no-webui', ...shape], { stdio: 'ignore' })
  const url = `http://127.0.0.1:${port}`
  await healthy(child, url)
  return {
    name: 'llama-server',
    generate: ({ text, tokens }) => stream(`${url}/completion`, { prompt: text, n_predict: tokens, temperature: 0, stream: true, cache_prompt: true }),
    embed: async (texts) => (await whole(`${url}/v1/embeddings`, { input: texts })).ms,
    [Symbol.asyncDispose]: async () => {
      const end = once(child, 'exit')
      child.kill()
      await end
    },
  }
}

async function healthy(child: ChildProcess, url: string): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (child.exitCode !== null) throw new Error(`llama-server ended with ${child.exitCode}`)
    const ready = await fetch(`${url}/health`).then(
      (answer) => answer.ok,
      () => false,
    )
    if (ready) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('llama-server did not become ready within 30 s')
}

/** Tokens a second that llama-bench finds: `-p 512 -n 0` a prompt, `-p 0 -n 96` decoding. */
export async function llamaBench(program: string, file: string, threads: number, { prompt = 0, tokens = 0 }): Promise<number> {
  const { stdout } = await run(program, ['-m', file, '-t', String(threads), '-r', '1', '-o', 'json', '-p', String(prompt), '-n', String(tokens), '-b', '512'])
  return (JSON.parse(stdout) as { avg_ts: number }[])[0]?.avg_ts ?? Number.NaN
}

/** Tokens a second of all sequences together that llama-batched-bench finds. */
export async function llamaBatchedBench(program: string, file: string, threads: number, sequences: number, tokens: number): Promise<number> {
  const args = [
    '-m',
    file,
    '-t',
    String(threads),
    '-c',
    String(2048 * sequences),
    '-b',
    '512',
    '-ub',
    '512',
    '-npp',
    '16',
    '-ntg',
    String(tokens),
    '-npl',
    String(sequences),
    '--output-format',
    'jsonl',
    '-no-kvu',
  ]
  const { stdout } = await run(program, args)
  const line = stdout.split('\n').find((text) => text.startsWith('{'))
  return (JSON.parse(line ?? '{}') as { speed_tg?: number }).speed_tg ?? Number.NaN
}
