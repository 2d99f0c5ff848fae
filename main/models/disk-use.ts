import { statfs } from 'node:fs/promises'
import { displayName } from './name.ts'
import type { Store } from './store.ts'
import type { DiskUse } from './upkeep-facts.ts'

/** Counts the bytes of our store: what is there, what is shared, what nobody needs. */
export async function diskUse(store: Store): Promise<DiskUse> {
  const [entries, blobs, partial] = await Promise.all([store.list(), store.blobs.list(), store.blobs.listPartial()])
  const models = entries.map(({ name, layers, configBlob }) => ({
    name: displayName(name),
    blobs: new Map([...layers, { ...configBlob, sizeBytes: configBlob.bytes.length }].map(({ digest, sizeBytes }) => [digest, sizeBytes])),
  }))
  const users = new Map<string, string[]>()
  for (const { name, blobs: used } of models) for (const digest of used.keys()) users.set(digest, [...(users.get(digest) ?? []), name])
  const unneeded = blobs.filter(({ digest }) => !users.has(digest))
  const { bavail, bsize } = await statfs(store.blobs.folder).catch(() => ({ bavail: 0, bsize: 0 }))
  return {
    folder: store.root,
    freeBytes: bavail * bsize,
    usedBytes: sum(blobs),
    models: models.map(({ name, blobs: used }) => ({
      name,
      sizeBytes: [...used.values()].reduce((total, size) => total + size, 0),
      ownBytes: [...used].reduce((total, [digest, size]) => total + (users.get(digest)?.length === 1 ? size : 0), 0),
      sharesWith: [...new Set([...used.keys()].flatMap((digest) => users.get(digest) ?? []))].filter((other) => other !== name),
    })),
    unneeded: { count: unneeded.length, sizeBytes: sum(unneeded) },
    partial: { count: partial.length, sizeBytes: sum(partial) },
  }
}

function sum(files: readonly { sizeBytes: number }[]): number {
  return files.reduce((total, { sizeBytes }) => total + sizeBytes, 0)
}
