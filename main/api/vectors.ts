/**
 * Short decimals that stand for the same 32-bit floats: half the bytes of printing them as doubles.
 *
 * Nine significant digits name every 32-bit float; most need eight.
 */
export function shortFloats(vector: number[]): number[] {
  return vector.map(shortFloat)
}

function shortFloat(value: number): number {
  const single = Math.fround(value)
  if (single === 0 || !Number.isFinite(single)) return single
  const scale = 10 ** (7 - Math.floor(Math.log10(Math.abs(single))))
  for (const factor of [scale, scale * 10]) {
    const short = Math.round(single * factor) / factor
    if (Math.fround(short) === single) return short
  }
  return single
}

/** Little-endian 32-bit floats in base64, as OpenAI's clients unpack them. */
export function packedFloats(vector: number[]): string {
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, at * 4)
  return bytes.toString('base64')
}
