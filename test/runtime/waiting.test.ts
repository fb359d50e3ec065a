import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { sleep } from '../../src/runtime/sleep.ts'
import { within } from '../../src/runtime/within.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('a sleep ends after its time or with its signal, without a leftover timer', async () => {
  const slept = sleep(1_000)
  await vi.advanceTimersByTimeAsync(1_000)
  await slept
  const stop = new AbortController()
  const cut = sleep(60_000, stop.signal)
  stop.abort()
  await cut
  await sleep(60_000, stop.signal)
  expect(vi.getTimerCount()).toBe(0)
})

test('a promise that settles in time is passed on, without a leftover timer', async () => {
  expect(await within(1_000, Promise.resolve(7))).toBe(7)
  await expect(within(1_000, Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(vi.getTimerCount()).toBe(0)
})

test('a promise that does not settle in time rejects with the time', async () => {
  const late = expect(within(2_500, new Promise(() => {}))).rejects.toThrow('no answer within 2.5 s')
  await vi.advanceTimersByTimeAsync(2_500)
  await late
})
