import { accessSync, constants } from 'node:fs'
import path from 'node:path'

/** Where a program of this machine is; null when it is not installed. */
export function onPath(name: string): string | null {
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    const file = path.join(folder, name)
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch {
      // Not in this folder.
    }
  }
  return null
}
