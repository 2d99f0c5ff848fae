import { toPlainError } from '../../errors.ts'
import type { ProbeReply, ProbeRequest } from '../builds.ts'
import { connectParent } from '../parent-port.ts'

/** Loads one build of the runtime, says what it computes with, and ends. What goes wrong here goes wrong in a process that nobody needs. */
const send = connectParent<ProbeRequest, ProbeReply>(({ build, backend }) => {
  const missing = backend === null ? null : missingDependency(backend)
  if (missing !== null) send({ type: 'failed', reason: missing })
  else void listDevicesOf(build).then(send)
})

async function listDevicesOf(build: string): Promise<ProbeReply> {
  try {
    // Only now: most builds fail at what is missing, and the bindings cost more than that check.
    const { listDevices, loadLibrary } = await import('../llama/library.ts')
    return { type: 'devices', devices: listDevices(loadLibrary(build)) }
  } catch (error) {
    return { type: 'failed', reason: toPlainError(error).message }
  }
}

/** What the system's loader lacks to open a library, in its own words; llama.cpp would skip such a backend without a word. */
function missingDependency(file: string): string | null {
  try {
    process.dlopen({ exports: {} }, file)
    return null
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    // The library could be opened; that it is no Node add-on is as it should be.
    return /did not self-register/.test(message) ? null : message
  }
}
