import { constants, setPriority } from 'node:os'
import { toPlainError } from '../../errors.ts'
import { loadLibrary } from '../llama/library.ts'
import { quantizeFile } from '../llama/quantize.ts'
import { connectParent } from '../parent-port.ts'
import type { QuantizeReply, QuantizeRequest } from '../quantizer.ts'

// Replies of loaded models come first: this takes what they leave of the processor.
setPriority(constants.priority.PRIORITY_LOW)

/** Quantises one file and says how it went; ended by whoever started it. */
const send = connectParent<QuantizeRequest, QuantizeReply>((request) => {
  quantizeFile(loadLibrary(request.build), request, (sizeBytes) => send({ type: 'tensor', sizeBytes })).then(
    () => send({ type: 'done' }),
    (error: unknown) => send({ type: 'failed', error: toPlainError(error) }),
  )
})
