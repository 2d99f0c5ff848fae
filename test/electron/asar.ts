import { cp, mkdir, open, writeFile } from 'node:fs/promises'
import path from 'node:path'

interface Entry {
  files?: Record<string, Entry>
  size?: number
  offset?: string
  unpacked?: boolean
}

/** An entry of the archive: its path, its size, and whether it lies beside the archive. */
export interface Packed {
  path: string
  sizeBytes: number
  unpacked: boolean
}

/** What is in an archive of Electron's format: a pickled JSON header, then the files one behind the other. */
export async function listAsar(file: string): Promise<Packed[]> {
  const { header } = await readHeader(file)
  return walk(header).map(([name, { size = 0, unpacked = false }]) => ({ path: name, sizeBytes: size, unpacked }))
}

/** Writes the archive's files, and those beside it, into a folder. */
export async function extractAsar(file: string, folder: string): Promise<void> {
  const { header, dataAt } = await readHeader(file)
  await using archive = await open(file)
  for (const [name, { size = 0, offset = '0', unpacked }] of walk(header)) {
    const target = path.join(folder, name)
    await mkdir(path.dirname(target), { recursive: true })
    if (unpacked) continue
    const { buffer } = await archive.read({ buffer: Buffer.alloc(size), position: dataAt + Number(offset) })
    await writeFile(target, buffer)
  }
  await cp(`${file}.unpacked`, folder, { recursive: true })
}

async function readHeader(file: string): Promise<{ header: Entry; dataAt: number }> {
  await using archive = await open(file)
  const { buffer: sizes } = await archive.read({ buffer: Buffer.alloc(16), position: 0 })
  const { buffer: json } = await archive.read({ buffer: Buffer.alloc(sizes.readUInt32LE(12)), position: 16 })
  return { header: JSON.parse(json.toString()), dataAt: 8 + sizes.readUInt32LE(4) }
}

function walk(entry: Entry, prefix = ''): [string, Entry][] {
  return Object.entries(entry.files ?? {}).flatMap(([name, child]) =>
    child.files ? walk(child, `${prefix}${name}/`) : [[`${prefix}${name}`, child] as [string, Entry]],
  )
}
