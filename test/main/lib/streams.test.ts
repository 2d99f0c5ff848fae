import { describe, expect, test } from 'vitest'
import { Channel } from '../../../main/lib/streams.ts'

describe('Channel', () => {
  test('delivers what was pushed before and after the consumer came, in order', async () => {
    const channel = new Channel<number>()
    channel.push(1)
    const seen: number[] = []
    const reading = (async () => {
      for await (const item of channel) seen.push(item)
    })()
    await Promise.resolve()
    channel.push(2)
    channel.push(3)
    channel.end()
    await reading
    expect(seen).toEqual([1, 2, 3])
  })

  test('throws its error after the last item', async () => {
    const channel = new Channel<number>()
    channel.push(1)
    channel.fail(new Error('gone'))
    const seen: number[] = []
    await expect(
      (async () => {
        for await (const item of channel) seen.push(item)
      })(),
    ).rejects.toThrow('gone')
    expect(seen).toEqual([1])
  })

  test('refuses an item past its bound instead of growing', () => {
    const channel = new Channel<number>(2)
    expect([channel.push(1), channel.push(2), channel.push(3)]).toEqual([true, true, false])
  })
})
