import { AppError } from '../../errors.ts'
import { type FileType, fileTypes } from './abi.ts'
import { inBackground, type Library } from './library.ts'
import { failureReason } from './log.ts'

/**
 * Writes the model file `source` with its weights in another type to `target`; `onTensor` hears of each tensor's size in the source, in bytes.
 *
 * Throws `invalid-model` with llama.cpp's reason.
 */
export async function quantizeFile(
  library: Library,
  { source, target, type, threads }: { source: string; target: string; type: FileType; threads: number },
  onTensor: (sizeBytes: number) => void,
): Promise<void> {
  const { c, log } = library
  const params = { ...c.llama_model_quantize_default_params(), ftype: fileTypes[type], nthread: threads }
  using _ = log.listen(({ text }) => {
    const mebibytes = /^\[ *\d+\/ *\d+\].* size = +([\d.]+) MiB/.exec(text)?.[1]
    if (mebibytes !== undefined) onTensor(Math.round(Number(mebibytes) * 2 ** 20))
  })
  const { result, lines } = await log.record(() => inBackground(c.llama_model_quantize, source, target, params))
  if (result !== 0) throw new AppError('invalid-model', `the model could not be quantized to ${type}: ${failureReason(lines) || 'llama.cpp gives no reason'}`)
}
