import { expect, test } from 'vitest'
import { readConfig } from '../../main/config.ts'
import { variables } from '../../main/environment.ts'

const listen = (host: string) => {
  const { scheme, host: bound, port, path } = readConfig({ OLLAMA_HOST: host }).listen
  return [scheme, bound, port, path]
}

test.each([
  ['', 'http', '127.0.0.1', 11434, ''],
  ['1.2.3.4', 'http', '1.2.3.4', 11434, ''],
  [':1234', 'http', '', 1234, ''],
  ['1.2.3.4:1234', 'http', '1.2.3.4', 1234, ''],
  [' 1.2.3.4 ', 'http', '1.2.3.4', 11434, ''],
  ['"1.2.3.4"', 'http', '1.2.3.4', 11434, ''],
  ["' 1.2.3.4 '", 'http', '1.2.3.4', 11434, ''],
  [':0', 'http', '', 0, ''],
  [':66000', 'http', '', 11434, ''],
  [':-1', 'http', '', 11434, ''],
  ['::1', 'http', '::1', 11434, ''],
  ['[::1]', 'http', '::1', 11434, ''],
  ['[::1]:1337', 'http', '::1', 1337, ''],
  ['[0001:002:003:0004::1]:1337', 'http', '0001:002:003:0004::1', 1337, ''],
  ['example.com', 'http', 'example.com', 11434, ''],
  ['example.com:1234', 'http', 'example.com', 1234, ''],
  ['http://1.2.3.4', 'http', '1.2.3.4', 80, ''],
  ['https://1.2.3.4', 'https', '1.2.3.4', 443, ''],
  ['https://example.com:1234', 'https', 'example.com', 1234, ''],
  ['https://example.com:1234/', 'https', 'example.com', 1234, ''],
  ['https://example.com/a/b', 'https', 'example.com', 443, '/a/b'],
  ['example.com/a', 'http', 'example.com', 11434, '/a'],
  ['ollama.com', 'https', 'ollama.com', 443, ''],
])('OLLAMA_HOST=%s', (text, ...expected) => {
  expect(listen(text)).toEqual(expected)
})

test('a bad port is told and the default holds', () => {
  expect(readConfig({ OLLAMA_HOST: ':66000' }).warnings).toEqual(['OLLAMA_HOST=":66000" has no valid port; using 11434'])
})

test.each([
  [{}, 'http://127.0.0.1:11434'],
  [{ OLLAMA_HOST: '0.0.0.0' }, 'http://127.0.0.1:11434'],
  [{ OLLAMA_HOST: ':1' }, 'http://127.0.0.1:1'],
  [{ OLLAMA_HOST: '[::]:1' }, 'http://[::1]:1'],
  [{ OLLAMA_HOST: 'https://box/ollama' }, 'https://box:443/ollama'],
])('a client finds the server of %o at %s', (env, url) => {
  expect(readConfig(env).url).toBe(url)
})

test.each([
  ['', 300_000],
  ['0', 0],
  ['60', 60_000],
  ['1h30m', 5_400_000],
  ['-1', Number.POSITIVE_INFINITY],
  ['-5m', Number.POSITIVE_INFINITY],
  ['1d', 300_000],
  ['soon', 300_000],
])('OLLAMA_KEEP_ALIVE=%s keeps a model %s ms', (text, ms) => {
  expect(readConfig({ OLLAMA_KEEP_ALIVE: text }).keepAliveMs).toBe(ms)
})

test('OLLAMA_LOAD_TIMEOUT=0 waits for ever', () => {
  expect(readConfig({ OLLAMA_LOAD_TIMEOUT: '0' }).loadTimeoutMs).toBe(Number.POSITIVE_INFINITY)
})

test.each([
  ['1', true],
  ['t', true],
  ['random', true],
  ['0', false],
  ['F', false],
  ['False', false],
  ['', false],
])('OLLAMA_NOPRUNE=%s is %s', (text, expected) => {
  expect(readConfig({ OLLAMA_NOPRUNE: text }).noPrune).toBe(expected)
})

test('a switch that is not set is told from one that is off', () => {
  const of = (text: string) => readConfig({ OLLAMA_GO_TEMPLATE: text }).goTemplate
  expect([of(''), of('0'), of('1')]).toEqual([null, false, true])
})

test('a number in another notation is a warning and the default', () => {
  const { maxQueue, warnings } = readConfig({ OLLAMA_MAX_QUEUE: '0x10' })
  expect([maxQueue, warnings]).toEqual([512, ['OLLAMA_MAX_QUEUE="0x10" is not a whole number; using 512']])
})

test.each([
  ['', 'info'],
  ['0', 'info'],
  ['false', 'info'],
  ['1', 'debug'],
  ['true', 'debug'],
  ['2', 'trace'],
  ['-1', 'warn'],
  ['-2', 'error'],
])('OLLAMA_DEBUG=%s logs from %s', (text, level) => {
  expect(readConfig({ OLLAMA_DEBUG: text }).logLevel).toBe(level)
})

test('an unknown KV cache type is a warning and f16', () => {
  const { kvCacheType, warnings } = readConfig({ OLLAMA_KV_CACHE_TYPE: 'q3' })
  expect([kvCacheType, warnings.length]).toEqual(['f16', 1])
  expect(readConfig({ OLLAMA_KV_CACHE_TYPE: 'Q8_0' }).kvCacheType).toBe('q8_0')
})

test('an origin that is none is left out with a warning', () => {
  const { origins, warnings } = readConfig({ OLLAMA_ORIGINS: 'https://a.b,nonsense, app://x*' })
  expect(origins.slice(0, 2)).toEqual(['https://a.b', 'app://x*'])
  expect(warnings).toEqual(['OLLAMA_ORIGINS="nonsense" is no origin such as https://example.com or app://*; using none'])
})

test.each<[NodeJS.Platform, Record<string, string>, string, string, string]>([
  ['linux', { HOME: '/h' }, '/h/.local/share/paddock', '/h/.cache/paddock', '/h/.local/state/paddock/logs'],
  ['linux', { HOME: '/h', XDG_DATA_HOME: '/d', XDG_CACHE_HOME: '/c', XDG_STATE_HOME: '/s' }, '/d/paddock', '/c/paddock', '/s/paddock/logs'],
  ['darwin', { HOME: '/h' }, '/h/Library/Application Support/Paddock', '/h/Library/Caches/Paddock', '/h/Library/Logs/Paddock'],
  ['win32', { LOCALAPPDATA: 'C:\\L' }, 'C:\\L\\Paddock', 'C:\\L\\Paddock\\cache', 'C:\\L\\Paddock\\logs'],
  ['linux', { HOME: '/h', PADDOCK_HOME: '/p' }, '/p', '/p/cache', '/p/logs'],
])('on %s with %o data, cache and logs have their folders', (platform, env, ...expected) => {
  const { dataFolder, cacheFolder, logsFolder } = readConfig(env, platform)
  expect([dataFolder, cacheFolder, logsFolder]).toEqual(expected)
})

test('models lie in the data folder unless OLLAMA_MODELS names another', () => {
  expect(readConfig({ PADDOCK_HOME: '/p' }, 'linux').modelsFolder).toBe('/p/models')
  expect(readConfig({ PADDOCK_HOME: '/p', OLLAMA_MODELS: '"/m"' }, 'linux').modelsFolder).toBe('/m')
})

test('device filters and llama.cpp’s own variables are handed on as they are', () => {
  const env = { CUDA_VISIBLE_DEVICES: '', HSA_OVERRIDE_GFX_VERSION: '10.3.0', PATH: '/bin' }
  expect(readConfig(env).deviceEnvironment).toEqual({ CUDA_VISIBLE_DEVICES: '', HSA_OVERRIDE_GFX_VERSION: '10.3.0' })
})

test('the table of variables names each once', () => {
  const names = variables.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
})
