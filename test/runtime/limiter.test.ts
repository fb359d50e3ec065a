import { setImmediate } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { createLimiter, type Limits } from '../../src/runtime/limiter.ts'

const open = (limits: Partial<Limits> = {}) =>
  createLimiter({
    max: 2,
    maxOfOne: 2,
    maxWaiting: 3,
    maxWaitingOfOne: 3,
    waitMs: 1_000,
    maxPerTurn: 100,
    ...limits,
  })

/** Enters, and tells of it. */
function asks(limiter: ReturnType<typeof open>, ...keys: string[]) {
  const entered: string[] = []
  const releases: (() => void)[] = []
  const all = keys.map(async key => {
    const release = await limiter.acquire(key)
    entered.push(release ? key : `not ${key}`)
    if (release) releases.push(release)
  })
  return { entered, releases, all: Promise.all(all) }
}

test('without a free permit a request waits, and with a full queue it is refused at once', async () => {
  const limiter = open()
  const { entered, releases } = asks(limiter, 'a', 'b', 'c', 'd', 'e', 'f')
  await setImmediate()
  expect(entered).toEqual(['a', 'b', 'not f'])
  releases[0]!()
  // Twice is once.
  releases[0]!()
  await setImmediate()
  expect(entered).toEqual(['a', 'b', 'not f', 'c'])
  expect(limiter.state()).toEqual({ held: 2, waiting: 2 })
})

test('keys get permits in turn: a busy one does not delay another', async () => {
  const limiter = open({ max: 1, maxOfOne: 1, maxWaiting: 10, maxWaitingOfOne: 10 })
  const { entered, releases } = asks(limiter, 'a', 'a', 'a', 'a', 'b', 'b')
  for (let i = 0; i < 6; i++) {
    await setImmediate()
    releases[i]!()
  }
  await setImmediate()
  expect(entered).toEqual(['a', 'a', 'b', 'a', 'b', 'a'])
  expect(limiter.state()).toEqual({ held: 0, waiting: 0 })
})

test('one key holds and waits for at most its share', async () => {
  const limiter = open({ max: 4, maxOfOne: 2, maxWaitingOfOne: 1 })
  const { entered } = asks(limiter, 'a', 'a', 'a', 'a', 'b', 'b')
  await setImmediate()
  expect(entered).toEqual(['a', 'a', 'not a', 'b', 'b'])
})

test('a request that waits too long is refused, and leaves nothing behind', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    const limiter = open({ max: 1 })
    const { entered, releases, all } = asks(limiter, 'a', 'b')
    await vi.advanceTimersByTimeAsync(1_000)
    await all
    expect(entered).toEqual(['a', 'not b'])
    releases[0]!()
    expect(limiter.state()).toEqual({ held: 0, waiting: 0 })
  } finally {
    vi.useRealTimers()
  }
})

test('each turn of the event loop grants a limited number of permits', async () => {
  const limiter = open({ max: 10, maxOfOne: 10, maxWaiting: 10, maxWaitingOfOne: 10, maxPerTurn: 2 })
  const { entered } = asks(limiter, 'a', 'b', 'c', 'd', 'e')
  const perTurn: number[] = []
  for (let i = 0; i < 4; i++) {
    await Promise.resolve()
    await Promise.resolve()
    perTurn.push(entered.length)
    await setImmediate()
  }
  expect(perTurn[0]).toBe(2)
  expect(Math.max(...perTurn.map((count, i) => count - (perTurn[i - 1] ?? 0)))).toBe(2)
  expect(entered).toEqual(['a', 'b', 'c', 'd', 'e'])
})

test('a returned permit rests for a multiple of the time that it was held', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  try {
    const limiter = open({ max: 1, restFactor: 3, waitMs: 10_000 })
    const { entered, releases } = asks(limiter, 'a', 'b')
    await vi.advanceTimersByTimeAsync(100)
    releases[0]!()
    await vi.advanceTimersByTimeAsync(299)
    expect(entered).toEqual(['a'])
    await vi.advanceTimersByTimeAsync(1)
    expect(entered).toEqual(['a', 'b'])
  } finally {
    vi.useRealTimers()
  }
})
