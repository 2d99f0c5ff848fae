import { readFile } from 'node:fs/promises'

const pathPattern = /(?:[A-Za-z]:)?(?:\.{0,2}[/\\]|~\/)(?:\\ |\S)+?\.(?:jpe?g|png|webp|wav)(?!\S)/gi

/** A message of which the pictures and sounds that it names have been taken out. */
export interface Attached {
  text: string
  /** Base64. */
  images: string[]
  /** Files that were read. */
  files: string[]
}

/** Reads the pictures and sounds whose paths stand in the text; a path where nothing is stays as it is. */
export async function attachFiles(text: string): Promise<Attached> {
  const attached: Attached = { text, images: [], files: [] }
  for (const [written] of text.matchAll(pathPattern)) {
    const file = written.replaceAll('\\ ', ' ')
    try {
      attached.images.push((await readFile(file)).toString('base64'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue
      throw new Error(`${file} cannot be read: ${(error as Error).message}`, { cause: error })
    }
    attached.files.push(file)
    attached.text = attached.text.replace(written, '').trim()
  }
  return attached
}
