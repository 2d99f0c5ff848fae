import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from './temporary-folder.ts'

const run = promisify(execFile)

/** A disk of so many megabytes, or null where this user may not mount one. */
export async function smallDisk(megabytes: number): Promise<({ path: string } & AsyncDisposable) | null> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return null
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder())
  const disk = path.join(folder.path, 'disk')
  await mkdir(disk)
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', disk])
  } catch {
    // A container without the right to mount.
    return null
  }
  stack.defer(async () => {
    await run('umount', ['-l', disk])
  })
  const owned = stack.move()
  return { path: disk, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
