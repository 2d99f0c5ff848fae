import { describe, expect, test } from 'vitest'
import { Crowding } from '../../../../main/runtime/runner-process/crowding.ts'

/** A machine whose clock, free cores (idle or ours) and rivals the test sets. */
function machine(most: number) {
  const state = { now: 0, free: 0, rivals: 1 }
  const crowding = new Crowding(most, 100_000_000, { nowMs: () => state.now, freeCores: () => state.free, rivalsPerCore: () => state.rivals })
  const step = (ms: number) => {
    state.now += ms
    crowding.record(ms, 1, 0)
    return crowding.threads
  }
  return { state, crowding, step }
}

describe('Crowding', () => {
  test('uses all threads while steps take what they should', () => {
    const { step } = machine(4)
    expect([6, 7, 6, 30, 6].map(step)).toEqual([4, 4, 4, 4, 4])
  })

  test('goes down to one thread when a step takes many times longer than the best', () => {
    const { step } = machine(4)
    for (let i = 0; i < 10; i++) step(6)
    expect(step(900)).toBe(1)
  })

  test('notices a machine that is crowded from the first step on', () => {
    const { step } = machine(2)
    expect(step(3000)).toBe(1)
  })

  test('stays with one thread while no core is free, and takes all again when they are', () => {
    const { state, step } = machine(2)
    step(3000)
    state.free = 1.2
    expect([step(20), step(1200), step(1200)]).toEqual([1, 1, 1])
    state.free = 2
    expect([step(500), step(600)]).toEqual([1, 2])
  })

  test('looks around after a pause and takes what is free', () => {
    const { state, crowding } = machine(4)
    const begin = (free: number) => {
      state.free = free
      state.now += 500
      crowding.begin()
      return crowding.threads
    }
    expect([4, 3.2, 1.9, 0.1, 4].map(begin)).toEqual([4, 4, 2, 1, 4])
  })

  test('begins with all threads when others have just ended their work', () => {
    const { state, crowding } = machine(2)
    Object.assign(state, { now: 500, free: 0.1, rivals: 0 })
    crowding.begin()
    expect(crowding.threads).toBe(2)
  })

  test('does not count what was before the last look', () => {
    const { state, crowding } = machine(2)
    state.now += 5000
    state.free = 0.1
    crowding.glance()
    state.now += 500
    state.free = 2
    crowding.begin()
    expect(crowding.threads).toBe(2)
  })

  test('puts up with hiccups that cost less than one thread alone would', () => {
    const { step } = machine(2)
    for (let i = 0; i < 20; i++) step(6)
    const hiccups = Array.from({ length: 200 }, (_, i) => step(i % 20 === 0 ? 60 : 6))
    expect(new Set(hiccups)).toEqual(new Set([2]))
  })

  test('does not put up with hiccups that cost more', () => {
    const { step } = machine(2)
    for (let i = 0; i < 20; i++) step(6)
    expect(Array.from({ length: 20 }, (_, i) => step(i % 2 === 0 ? 60 : 6)).at(-1)).toBe(1)
  })

  test('a long prompt is not taken for crowding', () => {
    const { state, crowding, step } = machine(2)
    for (let i = 0; i < 5; i++) step(6)
    state.now += 1200
    crowding.record(1200, 0, 512)
    expect(crowding.threads).toBe(2)
  })
})
