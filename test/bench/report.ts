import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { type Figure, isMet, ratio } from './figures.ts'

export interface Run {
  at: string
  machine: string
  threads: number
  rounds: number
  figures: Figure[]
  leftOut: string[]
}

const number = (value: number) => (Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2))

const budgetText = ({ budget, unit }: Figure) =>
  budget.kind === 'ratio' ? `≥ ${budget.bound} ×` : budget.kind === 'share' ? `≤ ${budget.bound} ×` : `≤ ${budget.bound} ${unit}`

/** The table that the terminal shows. */
export function table({ figures }: Run): string {
  const rows = figures.map((figure) => {
    const part = ratio(figure)
    return [
      figure.name,
      `${number(figure.ours)} ${figure.unit}`,
      figure.reference === null ? '' : `${number(figure.reference.value)} ${figure.reference.name}`,
      part === null ? '' : part.toFixed(2),
      budgetText(figure),
      isMet(figure) ? 'met' : 'MISSED',
      figure.note ?? '',
    ]
  })
  const head = ['figure', 'ours', 'reference', 'ratio', 'budget', 'verdict', '']
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)))
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Writes the run as JSON and as one page; gives the page's path. */
export async function writeResults(run: Run, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true })
  const stem = run.at.replace(/[:.]/g, '-')
  await writeFile(path.join(folder, `${stem}.json`), `${JSON.stringify(run, null, 1)}\n`)
  const page = path.join(folder, `${stem}.html`)
  await writeFile(page, html(run))
  return page
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')

/** Bars of the medians, a dot for each single measurement. */
function chart(figure: Figure): string {
  const width = 560
  const left = 150
  const names = Object.keys(figure.samples)
  const limit = figure.budget.kind === 'atMost' ? figure.budget.bound : 0
  const most = Math.max(limit, ...Object.values(figure.samples).flat()) * 1.05 || 1
  const x = (value: number) => left + (Math.max(value, 0) / most) * (width - left - 60)
  const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0
  const bars = names.map((name, row) => {
    const values = figure.samples[name] ?? []
    const y = row * 26 + 4
    const dots = values.map((value) => `<circle cx="${x(value).toFixed(1)}" cy="${y + 9}" r="2.5"/>`).join('')
    return `<text x="${left - 8}" y="${y + 13}" text-anchor="end">${escaped(name)}</text><rect class="${name === 'ours' ? 'ours' : 'other'}" x="${left}" y="${y}" width="${(x(median(values)) - left).toFixed(1)}" height="18" rx="2"/>${dots}<text x="${x(median(values)) + 6}" y="${y + 13}">${number(median(values))}</text>`
  })
  const height = names.length * 26 + 4
  const line = limit > 0 ? `<line x1="${x(limit).toFixed(1)}" x2="${x(limit).toFixed(1)}" y1="0" y2="${height}"/>` : ''
  return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(figure.name)}">${bars.join('')}${line}</svg>`
}

function html(run: Run): string {
  const sections = run.figures.map((figure) => {
    const part = ratio(figure)
    const verdict = isMet(figure) ? 'met' : 'missed'
    return `<section><h2>${escaped(figure.name)} <small>${figure.unit}</small></h2>${chart(figure)}<p class="${verdict}">${part === null ? '' : `${part.toFixed(2)} of ${escaped(figure.reference?.name ?? '')}, `}budget ${escaped(budgetText(figure))}: ${verdict}${figure.note ? ` (${escaped(figure.note)})` : ''}</p></section>`
  })
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Paddock benchmark ${run.at}</title>
<style>:root{color-scheme:light dark;--ours:#2f7d5b;--other:#8d97a5;--line:#c2410c}body{font:15px/1.5 system-ui,sans-serif;max-width:640px;margin:2rem auto;padding:0 1rem}h1{font-size:1.4rem}h2{font-size:1rem;margin:1.6rem 0 .3rem}small{font-weight:400;opacity:.7}svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:currentColor}.ours{fill:var(--ours)}.other{fill:var(--other)}circle{fill:currentColor;opacity:.45}line{stroke:var(--line);stroke-width:2;stroke-dasharray:4 3}p{margin:.1rem 0}.missed{color:var(--line);font-weight:600}</style>
<h1>Paddock benchmark</h1><p>${escaped(run.at)} · ${escaped(run.machine)} · ${run.threads} threads · ${run.rounds} rounds, interleaved; bars are medians, dots single measurements, dashed lines budgets.</p>
${sections.join('\n')}
${run.leftOut.length > 0 ? `<h2>Left out</h2><ul>${run.leftOut.map((text) => `<li>${escaped(text)}</li>`).join('')}</ul>` : ''}</html>
`
}
