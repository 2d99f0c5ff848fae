import { Worker } from 'node:worker_threads'
import { defaultThreads } from './threads.ts'

/** Larger than any processor's cache, so that memory is what is measured. */
const blockBytes = 48 * 2 ** 20
const measureMs = 200

/** Compares two equal blocks again and again, which reads both to their ends and does nothing else. */
const readLoop = `
const { parentPort, workerData: { blockBytes, measureMs } } = require('node:worker_threads')
const [a, b] = [Buffer.alloc(blockBytes, 1), Buffer.alloc(blockBytes, 1)]
const begun = performance.now()
let bytes = 0
while (performance.now() - begun < measureMs) {
  if (a.compare(b) !== 0) throw new Error('memory is broken')
  bytes += 2 * blockBytes
}
parentPort.postMessage(bytes / (performance.now() - begun) * 1000)
`

/** Bytes per second that this machine's memory delivers to as many threads as a runner uses; takes half a second, and the processor with it. */
export async function measureBandwidth(threads = defaultThreads()): Promise<number> {
  const rates = await Promise.all(Array.from({ length: threads }, readRate))
  return rates.reduce((sum, rate) => sum + rate, 0)
}

function readRate(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const worker = new Worker(readLoop, { eval: true, workerData: { blockBytes, measureMs } })
  worker.once('message', resolve)
  worker.once('error', reject)
  return promise.finally(() => worker.terminate())
}
