import { expect, test } from 'vitest'
import { lazily, lazyStream, once } from '../../../main/lib/lazily.ts'

test('once() asks once for all who need the answer, and again after a failure', async () => {
  let asked = 0
  const answer = once(async () => {
    if (++asked === 1) throw new Error('not yet')
    return 'here'
  })
  await expect(Promise.all([answer(), answer()])).rejects.toThrow('not yet')
  expect(await Promise.all([answer(), answer()])).toEqual(['here', 'here'])
  expect(asked).toBe(2)
})

test('lazily() loads nothing before the first call', async () => {
  let loads = 0
  const add = lazily(
    once(async () => {
      loads++
      return async (a: number, b: number) => a + b
    }),
  )
  expect(loads).toBe(0)
  expect([await add(1, 2), await add(3, 4), loads]).toEqual([3, 7, 1])
})

test('a reader that leaves a lazyStream() ends the stream itself', async () => {
  const seen: string[] = []
  const count = lazyStream(async () => {
    return async function* () {
      try {
        for (let n = 0; ; n++) yield n
      } finally {
        seen.push('ended')
      }
    }
  })
  for await (const n of count()) if (n === 2) break
  expect(seen).toEqual(['ended'])
})
