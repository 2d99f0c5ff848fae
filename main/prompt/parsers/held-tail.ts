/** How many characters at the end of `text` may be the beginning of one of the markers. */
export function heldTail(text: string, markers: readonly string[]): number {
  let held = 0
  for (const marker of markers) {
    for (let length = Math.min(marker.length - 1, text.length); length > held; length--) {
      if (marker.startsWith(text.slice(text.length - length))) held = length
    }
  }
  return held
}

/** True for the beginning of a mark that no words end with: one of more than letters and spaces. */
export function isMarkup(held: string): boolean {
  return /[^\p{L}\p{N}\s]/u.test(held)
}

/** The earliest of the markers in `text`, the longest of those that begin there; null when none is complete. */
export function firstMarker(text: string, markers: readonly string[]): { at: number; marker: string } | null {
  let found: { at: number; marker: string } | null = null
  for (const marker of markers) {
    const at = text.indexOf(marker)
    if (at < 0) continue
    if (found === null || at < found.at || (at === found.at && marker.length > found.marker.length)) found = { at, marker }
  }
  return found
}
