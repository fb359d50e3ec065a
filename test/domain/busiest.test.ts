import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Busiest, countWork, forgetHalf, giveNames } from '../../src/domain/shown/busiest.ts'

const open = (): Busiest => ({ named: new Map(), others: new Map() })
const work = (busiest: Busiest, id: number, times: number, max = 2) => {
  for (let i = 0; i < times; i++) countWork(busiest, id, max)
}

test('the first ones get a name, and lose it to others that are twice as busy', () => {
  const busiest = open()
  work(busiest, 1, 5)
  work(busiest, 2, 3)
  expect(countWork(busiest, 3, 2)).toBe(false)
  work(busiest, 3, 4)
  expect(giveNames(busiest)).toEqual([])
  work(busiest, 3, 1)
  expect(giveNames(busiest)).toEqual([2])
  expect(countWork(busiest, 3, 2)).toBe(true)
  expect(countWork(busiest, 2, 2)).toBe(false)
  // The same again: nobody takes turns.
  expect(giveNames(busiest)).toEqual([])
})

test('old activity does not count', () => {
  const busiest = open()
  work(busiest, 1, 1_000)
  work(busiest, 2, 1_000)
  for (let i = 0; i < 20; i++) forgetHalf(busiest)
  work(busiest, 3, 3)
  expect(giveNames(busiest)).toHaveLength(1)
  for (let i = 0; i < 20; i++) forgetHalf(busiest)
  expect(busiest.others.size).toBe(0)
})

test('the number of kept entries is bounded', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 500 }), { maxLength: 400 }), ids => {
      const busiest = open()
      for (const [i, id] of ids.entries()) {
        countWork(busiest, id, 3)
        if (i % 7 === 0) giveNames(busiest)
        expect(busiest.named.size).toBeLessThanOrEqual(3)
        expect(busiest.others.size).toBeLessThanOrEqual(33)
        expect([...busiest.named.keys()].filter(each => busiest.others.has(each))).toEqual([])
      }
    }),
  )
})
