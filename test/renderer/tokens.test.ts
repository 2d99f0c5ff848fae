import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'

const css = readFileSync(path.resolve(import.meta.dirname, '../../renderer/styles/tokens.css'), 'utf8')
const colors = new Map(
  [...css.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g)].map(([, name = '', light = '', dark = '']) => [name, { light, dark }] as const),
)

/** WCAG 2.2, relative luminance and contrast ratio. */
function contrast(one: string, other: string): number {
  const luminance = (hex: string) => {
    const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
      const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a)
  return (light + 0.05) / (dark + 0.05)
}

const pairs = [
  ...['paper', 'surface', 'sunken', 'hover', 'meadow-wash'].map((ground) => ['ink', ground, 4.5] as const),
  ...['paper', 'surface', 'sunken', 'hover'].map((ground) => ['ink-soft', ground, 4.5] as const),
  ...['paper', 'surface', 'meadow-wash'].map((ground) => ['meadow', ground, 4.5] as const),
  ['on-meadow', 'meadow', 4.5] as const,
  ['on-meadow', 'meadow-hover', 4.5] as const,
  ['amber-ink', 'amber-wash', 4.5] as const,
  ['brick-ink', 'brick-wash', 4.5] as const,
  ['brick-ink', 'surface', 4.5] as const,
  ...['code-keyword', 'code-string', 'code-number', 'code-name'].map((ink) => [ink, 'sunken', 4.5] as const),
  ['line-strong', 'surface', 3] as const,
]

test.for(pairs)('%s on %s can be read by day and by night', ([ink, ground, least]) => {
  for (const scheme of ['light', 'dark'] as const) {
    const [one, other] = [colors.get(ink)?.[scheme], colors.get(ground)?.[scheme]]
    expect(contrast(one ?? '', other ?? ''), `${scheme}: ${one} on ${other}`).toBeGreaterThanOrEqual(least)
  }
})
