import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../helpers/temporary-folder.ts'

const launcher = path.resolve(import.meta.dirname, '../../main/launch.mjs')

test('what is compiled is kept in a folder of the user’s own, never in one that all users share', async () => {
  await using place = await temporaryFolder()
  const [home, shared] = [path.join(place.path, 'home'), path.join(place.path, 'tmp')]
  const { NODE_COMPILE_CACHE: _, ...env } = process.env
  const { stdout } = await promisify(execFile)(process.execPath, [launcher, '--version'], {
    env: { ...env, PADDOCK_HOME: home, TMPDIR: shared, TEMP: shared, OLLAMA_HOST: '127.0.0.1:9' },
  })
  expect(stdout).toContain('version')
  expect(await readdir(path.join(home, 'cache', 'compile'))).toHaveLength(1)
  await expect(readdir(shared)).rejects.toThrow('ENOENT')
})
