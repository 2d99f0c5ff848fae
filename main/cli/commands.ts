import type { Command } from './command.ts'
import { cpCommand } from './cp.ts'
import { createCommand } from './create.ts'
import { doctorCommand } from './doctor.ts'
import { fitCommand } from './fit.ts'
import { hideCommand } from './hide.ts'
import { importCommand } from './import.ts'
import { keyCommand } from './key.ts'
import { listCommand } from './list.ts'
import { originCommand } from './origin.ts'
import { pruneCommand } from './prune.ts'
import { psCommand } from './ps.ts'
import { pullCommand } from './pull.ts'
import { pushCommand } from './push.ts'
import { restoreCommand } from './restore.ts'
import { rmCommand } from './rm.ts'
import { runCommand } from './run.ts'
import { serveCommand } from './serve.ts'
import { showCommand } from './show.ts'
import { stopCommand } from './stop.ts'
import { upstreamCommand } from './upstream.ts'
import { verifyCommand } from './verify.ts'
import { versionCommand } from './version.ts'

/** All commands, in the order of the help. */
export const commands: readonly Command[] = [
  serveCommand,
  runCommand,
  pullCommand,
  pushCommand,
  listCommand,
  psCommand,
  showCommand,
  createCommand,
  importCommand,
  cpCommand,
  rmCommand,
  hideCommand,
  restoreCommand,
  originCommand,
  doctorCommand,
  fitCommand,
  verifyCommand,
  pruneCommand,
  stopCommand,
  keyCommand,
  upstreamCommand,
  versionCommand,
]
