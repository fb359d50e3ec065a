import { expect, test } from 'vitest'
import { type Bucket, take } from '../../src/domain/access/rate.ts'

const policy = { quota: 10, windowS: 5 }

/** What calls at these times, in ms, are answered. */
function calls(...timesMs: number[]) {
  let bucket: Bucket | undefined
  return timesMs.map(atMs => {
    const taken = take(bucket, policy, atMs)
    bucket = taken.bucket
    return taken
  })
}

test('a full bucket allows its quota at once, then returns the waiting time', () => {
  const taken = calls(...Array(12).fill(0))
  expect(taken.map(one => one.isAllowed)).toEqual([...Array(10).fill(true), false, false])
  expect(taken.map(one => one.remaining)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0])
  expect(taken[0]).toMatchObject({ resetS: 1, retryAfterS: 0 })
  expect(taken[9]).toMatchObject({ resetS: 5, retryAfterS: 0 })
  expect(taken[10]).toMatchObject({ resetS: 5, retryAfterS: 1 })
})

test('the quota refills evenly, and refused calls cost nothing', () => {
  const taken = calls(...Array(10).fill(0), 499, 499, 499, 500, 500, 1_000, 60_000)
  expect(taken.slice(10).map(one => one.isAllowed)).toEqual([false, false, false, true, false, true, true])
  expect(taken.at(-1)!.remaining).toBe(9)
})

test('a slow policy returns the waiting time in whole seconds', () => {
  const slow = { quota: 1, windowS: 60 }
  const { bucket } = take(undefined, slow, 0)
  expect(take(bucket, slow, 1_000)).toMatchObject({ isAllowed: false, retryAfterS: 59 })
  expect(take(bucket, slow, 60_000)).toMatchObject({ isAllowed: true })
})

test('a clock that goes back adds no quota', () => {
  expect(calls(...Array(10).fill(1_000), 0).at(-1)!.isAllowed).toBe(false)
})
