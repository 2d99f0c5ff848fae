import { flushCompileCache } from 'node:module'

interface UtilityPort {
  on(event: 'message', listener: (event: { data: unknown }) => void): void
  postMessage(message: unknown): void
}

/** A child's wire to the process that started it, the same under both hosts: `parentPort` of a utility process, else the channel of a forked child. The child ends with its parent. */
export function connectParent<In, Out>(receive: (message: In) => void): (message: Out) => void {
  const { parentPort } = process as { parentPort?: UtilityPort }
  if (parentPort !== undefined) {
    parentPort.on('message', ({ data }) => receive(data as In))
    return (message) => parentPort.postMessage(message)
  }
  process.on('message', (message) => receive(message as In))
  // Not by `process.exit`: it waits for native threads, and those wait for this one where they call back.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  // What was compiled is kept for the next child now: most end by SIGKILL, which writes nothing. Nothing to do but the first time.
  setImmediate(flushCompileCache)
  // What cannot be sent any more is no error of its own; the end of the channel follows.
  return (message) => process.send?.(message, undefined, undefined, () => {})
}
