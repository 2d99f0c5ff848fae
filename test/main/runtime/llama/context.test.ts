import { describe, expect, test } from 'vitest'
import { Context } from '../../../../main/runtime/llama/context.ts'
import { Batch } from '../../../../main/runtime/llama/memory.ts'
import { contextOf } from '../../../helpers/runner-requests.ts'
import { loadedModel } from '../runner-process/running-engine.ts'

async function evaluated(tokens: number[], unified = false) {
  const context = await Context.forReplies(await loadedModel(), contextOf({ unified, cells: 1024 }))
  const batch = new Batch(context.batchSize)
  for (const [position, token] of tokens.entries()) batch.add(token, position, 0, position === tokens.length - 1)
  expect(await context.decode(batch)).toBe(0)
  return { context, batch }
}

describe('Context', () => {
  test('gives a row of logits as long as the vocabulary', async () => {
    const { context } = await evaluated([5, 6, 7])
    expect(context.logits(2)).toHaveLength(context.model.vocabularySize)
    context.free()
  })

  test.each([-1, 3, 1.5])('refuses row %s of a decode of three', async (row) => {
    const { context } = await evaluated([5, 6, 7])
    expect(() => context.logits(row)).toThrow('not one of the last decode')
    context.free()
  })

  test('refuses a row that asked for no logits', async () => {
    const { context } = await evaluated([5, 6, 7])
    expect(() => context.logits(0)).toThrow('no logits')
    context.free()
  })

  test.each([-1, 2])('refuses sequence %s of two', async (sequence) => {
    const { context } = await evaluated([5])
    expect(() => context.remove(sequence, 0)).toThrow('not one of 2')
    expect(() => context.copy(0, sequence, 1)).toThrow('not one of 2')
    context.free()
  })

  test('decodes the same on this thread and on another', async () => {
    const { context, batch } = await evaluated([5, 6, 7])
    const elsewhere = Array.from(context.logits(2))
    context.clear()
    expect(context.decodeNow(batch)).toBe(0)
    expect(Array.from(context.logits(2))).toEqual(elsewhere)
    context.free()
  })

  test('stops a decode when it is told to', async () => {
    const { context } = await evaluated([5])
    const batch = new Batch(256)
    for (let position = 1; position < 250; position++) batch.add(7, position, 0, position === 249)
    context.abort(true)
    expect(await context.decode(batch)).toBe(2)
    context.abort(false)
    context.remove(0, 1)
    expect(await context.decode(batch)).toBe(0)
    context.free()
  })

  test.each([false, true])('copies the cells of a sequence (unified: %s)', async (unified) => {
    const { context } = await evaluated([5, 6, 7, 8], unified)
    const batch = new Batch(8)
    const logitsAfter = async (sequence: number) => {
      batch.clear()
      const row = batch.add(9, 3, sequence, true)
      expect(await context.decode(batch)).toBe(0)
      return Array.from(context.logits(row))
    }
    expect(context.copy(0, 1, 3)).toBe(true)
    const copied = await logitsAfter(1)
    context.remove(0, 3)
    expect(await logitsAfter(0)).toEqual(copied)
    context.free()
  })

  test('is not used after it was freed', async () => {
    const { context, batch } = await evaluated([5])
    context.free()
    context.free()
    expect(() => context.decodeNow(batch)).toThrow('freed')
    expect(() => context.remove(0, 0)).toThrow('freed')
  })

  test('has room for 256 replies and no more', async () => {
    const model = await loadedModel()
    await expect(Context.forReplies(model, contextOf({ slots: 257 }))).rejects.toMatchObject({ code: 'invalid-request' })
  })

  test('says why options do not go together', async () => {
    const model = await loadedModel()
    await expect(Context.forReplies(model, contextOf({ kvCacheType: 'q4_0', flashAttention: false }))).rejects.toMatchObject({
      code: 'load-failed',
      message: expect.stringContaining('flash'),
    })
  })

  test('counts its cells and buffers', async () => {
    const { context } = await evaluated([5])
    expect(context.buffers.kvCache.CPU).toBeGreaterThan(0)
    expect(context.buffers.compute.CPU).toBeGreaterThan(0)
    context.free()
  })
})

test('Batch refuses more than it has room for', () => {
  const batch = new Batch(1)
  batch.add(1, 0, 0, false)
  expect(() => batch.add(1, 1, 0, false)).toThrow('full')
})
