/** What a file is, by its first bytes; null unknown. */
export function mediaType(bytes: Uint8Array): string | null {
  const text = (from: number, to: number) => Buffer.from(bytes.subarray(from, to)).toString('latin1')
  if (text(0, 8) === '\x89PNG\r\n\x1a\n') return 'image/png'
  if (text(0, 3) === '\xff\xd8\xff') return 'image/jpeg'
  if (/^GIF8[79]a$/.test(text(0, 6))) return 'image/gif'
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WEBP') return 'image/webp'
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WAVE') return 'audio/wav'
  if (text(0, 3) === 'ID3' || /^\xff[\xe2\xe3\xf2\xf3\xfa\xfb]/.test(text(0, 2))) return 'audio/mp3'
  return null
}
