// Draws every icon file from icon.svg and tray.svg, in a Chromium that is installed: node resources/icons/make.mjs
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { chromium } from 'playwright'

const folder = import.meta.dirname
const read = (name) => readFileSync(path.join(folder, name), 'utf8')
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
const page = await browser.newPage()

async function png(svg, size, color = '#000') {
  await page.setViewportSize({ width: size, height: size })
  await page.setContent(`<body style="margin:0;color:${color}"><style>svg{display:block;width:${size}px;height:${size}px}</style>${svg}`)
  return page.screenshot({ omitBackground: true, clip: { x: 0, y: 0, width: size, height: size } })
}

const icon = read('icon.svg')
const tray = read('tray.svg')
const pictures = new Map()
for (const size of [16, 24, 32, 48, 64, 128, 256, 512, 1024]) pictures.set(size, await png(icon, size))
for (const size of [16, 32, 48, 64, 128, 256, 512]) writeFileSync(path.join(folder, `${size}x${size}.png`), pictures.get(size))

// A panel may be light or dark, so the mark brings its own field there; macOS colours a template itself.
writeFileSync(path.join(folder, 'tray.png'), await png(icon, 32))
writeFileSync(path.join(folder, 'trayTemplate.png'), await png(tray, 16))
writeFileSync(path.join(folder, 'trayTemplate@2x.png'), await png(tray, 32))
await browser.close()

/** Windows: a directory of PNG pictures (ICONDIR, ICONDIRENTRY). */
function ico(sizes) {
  const header = Buffer.alloc(6 + 16 * sizes.length)
  header.writeUInt16LE(1, 2)
  header.writeUInt16LE(sizes.length, 4)
  let offset = header.length
  sizes.forEach((size, at) => {
    const { length } = pictures.get(size)
    const entry = 6 + 16 * at
    header.writeUInt8(size % 256, entry)
    header.writeUInt8(size % 256, entry + 1)
    header.writeUInt16LE(1, entry + 4)
    header.writeUInt16LE(32, entry + 6)
    header.writeUInt32LE(length, entry + 8)
    header.writeUInt32LE(offset, entry + 12)
    offset += length
  })
  return Buffer.concat([header, ...sizes.map((size) => pictures.get(size))])
}

/** macOS: chunks of a four-letter type, a length and a PNG picture. */
function icns(types) {
  const chunks = Object.entries(types).map(([type, size]) => chunk(type, pictures.get(size)))
  return chunk('icns', Buffer.concat(chunks))
}

function chunk(type, data) {
  const header = Buffer.alloc(8)
  header.write(type, 'latin1')
  header.writeUInt32BE(data.length + 8, 4)
  return Buffer.concat([header, data])
}

writeFileSync(path.join(folder, 'icon.ico'), ico([16, 24, 32, 48, 64, 128, 256]))
writeFileSync(path.join(folder, 'icon.icns'), icns({ icp4: 16, icp5: 32, icp6: 64, ic07: 128, ic08: 256, ic09: 512, ic10: 1024 }))
