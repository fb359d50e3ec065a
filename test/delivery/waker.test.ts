import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createWaker } from '../../src/delivery/turn/waker.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const run = new AbortController().signal

/** A wait, and whether it is over. */
function waiting(wait: Promise<void>) {
  const at = { isOver: false }
  void wait.then(() => {
    at.isOver = true
  })
  return {
    async isOver() {
      await vi.advanceTimersByTimeAsync(0)
      return at.isOver
    },
  }
}

test('a wait lasts as long as requested', async () => {
  const at = waiting(createWaker().wait(1_000, run))
  await vi.advanceTimersByTimeAsync(999)
  expect(await at.isOver()).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(await at.isOver()).toBe(true)
})

test('a wake-up ends the wait at once, without a leftover timer', async () => {
  const waker = createWaker()
  const at = waiting(waker.wait(60_000, run))
  expect(await at.isOver()).toBe(false)
  waker.wake()
  expect(await at.isOver()).toBe(true)
  expect(vi.getTimerCount()).toBe(0)
})

test('wake-ups without a waiter are kept as one for the next wait', async () => {
  const waker = createWaker()
  waker.wake()
  waker.wake()
  expect(await waiting(waker.wait(60_000, run)).isOver()).toBe(true)
  expect(await waiting(waker.wait(60_000, run)).isOver()).toBe(false)
})

test('wake-ups of one turn of the event loop end one wait', async () => {
  const waker = createWaker()
  const first = waiting(waker.wait(60_000, run))
  waker.wake()
  waker.wake()
  expect(await first.isOver()).toBe(true)
  expect(await waiting(waker.wait(60_000, run)).isOver()).toBe(false)
})

test('a wake-up that comes as a wait runs out does not end the next one', async () => {
  const waker = createWaker()
  const first = waiting(waker.wait(0, run))
  waker.wake()
  expect(await first.isOver()).toBe(true)
  expect(await waiting(waker.wait(60_000, run)).isOver()).toBe(false)
})

test('a wake-up that has ended a wait is not kept for the next one', async () => {
  const waker = createWaker()
  const first = waiting(waker.wait(60_000, run))
  waker.wake()
  expect(await first.isOver()).toBe(true)
  expect(await waiting(waker.wait(60_000, run)).isOver()).toBe(false)
})

test('a wake-up after a wait timed out is kept', async () => {
  const waker = createWaker()
  const first = waiting(waker.wait(10, run))
  await vi.advanceTimersByTimeAsync(10)
  expect(await first.isOver()).toBe(true)
  waker.wake()
  expect(await waiting(waker.wait(60_000, run)).isOver()).toBe(true)
})

test('the end of the run ends a wait, and later waits return at once', async () => {
  const waker = createWaker()
  const stop = new AbortController()
  const at = waiting(waker.wait(60_000, stop.signal))
  stop.abort()
  expect(await at.isOver()).toBe(true)
  expect(await waiting(waker.wait(60_000, stop.signal)).isOver()).toBe(true)
  expect(vi.getTimerCount()).toBe(0)
})
