import { connectParent } from '../parent-port.ts'
import type { FromRunner, ToRunner } from '../protocol.ts'
import { RunnerProcess } from './runner-process.ts'

/** A bug here leaves native state that nobody can vouch for: the server starts a fresh process. */
process.on('unhandledRejection', (error) => {
  throw error
})

const post = connectParent<ToRunner, FromRunner>((message) => runner.receive(message))
const runner = new RunnerProcess(post)
setInterval(() => runner.heartbeat(), 1000)
post({ type: 'ready' })
