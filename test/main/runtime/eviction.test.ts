import { expect, test } from 'vitest'
import { chooseVictims } from '../../../main/runtime/eviction.ts'

const models = [
  { name: 'old', isIdle: true, lastUse: 1, bytes: 1 },
  { name: 'busy', isIdle: false, lastUse: 0, bytes: 8 },
  { name: 'large', isIdle: true, lastUse: 2, bytes: 4 },
  { name: 'new', isIdle: true, lastUse: 3, bytes: 2 },
]

function victims(neededBytes: number): string[] {
  return chooseVictims(models, (gone) => gone.reduce((sum, { bytes }) => sum + bytes, 0) >= neededBytes).map(({ name }) => name)
}

test('nobody leaves when there is room', () => {
  expect(victims(0)).toEqual([])
})

test('the least recently used idle one leaves first', () => {
  expect(victims(1)).toEqual(['old'])
})

test('one that a larger one makes needless stays', () => {
  expect(victims(4)).toEqual(['large'])
})

test('a busy one leaves only when all idle ones are not enough', () => {
  expect(victims(7)).toEqual(['old', 'large', 'new'])
  expect(victims(8)).toEqual(['busy'])
})

test('all leave when even that is not enough', () => {
  expect(victims(100)).toHaveLength(4)
})
