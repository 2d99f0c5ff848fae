import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import { AppError } from '../../errors.ts'

const decompress = promisify(zstdDecompress)
/** As in the peer (openai-anthropic-api §10.6). */
const largestBytes = 20 * 1024 * 1024

/** The bytes of a body that was sent with `Content-Encoding: zstd`. */
export async function unzstd(packed: Buffer): Promise<Buffer> {
  try {
    return await decompress(packed, { maxOutputLength: largestBytes })
  } catch (cause) {
    const large = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    throw new AppError('invalid-request', large ? 'the decompressed request body is larger than 20 MB' : 'failed to decompress zstd body', { cause })
  }
}
