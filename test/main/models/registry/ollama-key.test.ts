import { execFileSync } from 'node:child_process'
import { createPublicKey, verify } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { readOllamaKey } from '../../../../main/models/registry/ollama-key.ts'
import { startFaultyProxy } from '../../../helpers/faulty-proxy.ts'
import { onPath } from '../../../helpers/on-path.ts'
import { temporaryFolder } from '../../../helpers/temporary-folder.ts'
import { forever } from '../setup.ts'
import { testClient } from './setup.ts'

const keygen = onPath('ssh-keygen')
if (keygen === null) console.log('left out: the key of an Ollama (ssh-keygen is not installed)')

/** A home whose Ollama has a key; gives the second field of its public line. */
function makeKey(home: string, passphrase = ''): string {
  const file = path.join(home, '.ollama', 'id_ed25519')
  mkdirSync(path.dirname(file))
  execFileSync(keygen as string, ['-q', '-t', 'ed25519', '-N', passphrase, '-C', 'me', '-f', file])
  return readFileSync(`${file}.pub`, 'utf8').split(' ')[1] as string
}

function isSignedBy(publicLine: string, data: string, signature: string): boolean {
  const x = Buffer.from(publicLine, 'base64').subarray(-32).toString('base64url')
  return verify(null, Buffer.from(data), createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x } }), Buffer.from(signature, 'base64'))
}

test.runIf(keygen)('a request for a token is signed with the key of the user’s Ollama', async () => {
  await using home = await temporaryFolder()
  const publicLine = makeKey(home.path)
  await using registry = await startFaultyProxy('')
  const challenge = `Bearer realm="${registry.url}/token",service="${registry.host}",scope="repository:me/m:pull,push"`
  registry.rules.push(
    { path: /^\/token/, fault: { type: 'answer', status: 200, body: '{"token":"t0ken"}' } },
    { times: 1, fault: { type: 'answer', status: 401, headers: { 'www-authenticate': challenge } } },
    { fault: { type: 'answer', status: 200 } },
  )
  using _answer = await testClient({ signer: () => readOllamaKey(home.path) }).request(new URL(`${registry.url}/v2/me/m/manifests/x`), {}, forever)
  const [, asked, again] = registry.seen
  const [key = '', signature = ''] = String(asked?.headers.authorization).split(':')
  expect(key).toBe(publicLine)
  const emptyDigest = 'ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ=='
  expect(isSignedBy(publicLine, `GET,${registry.url}${asked?.path},${emptyDigest}`, signature)).toBe(true)
  expect([...new URL(asked?.path ?? '', registry.url).searchParams.keys()]).toEqual(['nonce', 'scope', 'service', 'ts'])
  expect(again?.headers.authorization).toBe('Bearer t0ken')
})

test.runIf(keygen)('readOllamaKey() knows no key where there is none, and none with a passphrase', async () => {
  await using home = await temporaryFolder()
  expect(await readOllamaKey(home.path)).toBe(null)
  makeKey(home.path, 'secret')
  expect(await readOllamaKey(home.path)).toBe(null)
  writeFileSync(
    path.join(home.path, '.ollama', 'id_ed25519'),
    '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA////\n-----END OPENSSH PRIVATE KEY-----\n',
  )
  expect(await readOllamaKey(home.path)).toBe(null)
})
