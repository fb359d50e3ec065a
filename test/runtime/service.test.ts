import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Fatal, type Service, supervise } from '../../src/runtime/service.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

/** Supervises a service whose runs each do what `runs` says next; the last one again and again. */
function open(...runs: ((signal: AbortSignal) => Promise<void>)[]) {
  const stop = new AbortController()
  const starts: number[] = []
  const failures: { message: string; nextDelayMs: number }[] = []
  const service: Service = {
    name: 'sample',
    run(signal) {
      starts.push(performance.now())
      return runs[Math.min(starts.length, runs.length) - 1]!(signal)
    },
  }
  const over = supervise(service, {
    signal: stop.signal,
    minDelayMs: 100,
    maxDelayMs: 1_000,
    onFailure: (error, nextDelayMs) => failures.push({ message: (error as Error).message, nextDelayMs }),
  })
  over.catch(() => {})
  return { stop, starts, failures, over }
}

const fail = async () => {
  throw new Error('no link')
}
const failAfter = (ms: number) => () =>
  new Promise<void>((_, reject) => {
    setTimeout(() => reject(new Error('lost the link')), ms)
  })
const untilStopped = (signal: AbortSignal) =>
  new Promise<void>(resolve => {
    signal.addEventListener('abort', () => resolve(), { once: true })
  })

const waits = ({ starts }: { starts: number[] }) => starts.slice(1).map((at, i) => at - starts[i]!)

test.each([
  [0, [100, 200, 400, 800, 1_000, 1_000]],
  [0.5, [150, 300, 600, 1_000, 1_000, 1_000]],
])(
  'a failed service is restarted with doubled waits and jitter (%d), up to the longest wait',
  async (chance, expected) => {
    vi.spyOn(Math, 'random').mockReturnValue(chance)
    const at = open(fail)
    await vi.advanceTimersByTimeAsync(6_000)
    expect(waits(at).slice(0, 6).map(Math.round)).toEqual(expected)
  },
)

test('listeners get each failure and the length of the wait', async () => {
  const at = open(fail)
  await vi.advanceTimersByTimeAsync(2_000)
  const found = waits(at)
  expect(found.length).toBeGreaterThan(2)
  found.forEach((wait, i) => {
    expect(at.failures[i]!.message).toBe('no link')
    expect(Math.abs(at.failures[i]!.nextDelayMs - wait)).toBeLessThan(2)
  })
})

test('a TypeError is a failure like any other', async () => {
  const at = open(async () => {
    throw new TypeError('undefined is not a function')
  }, untilStopped)
  await vi.advanceTimersByTimeAsync(300)
  expect(at.starts).toHaveLength(2)
  expect(at.failures).toMatchObject([{ message: 'undefined is not a function' }])
})

test('after five seconds of work, a failure restarts the series of waits', async () => {
  const at = open(fail, fail, fail, fail, failAfter(5_001), fail, untilStopped)
  await vi.advanceTimersByTimeAsync(20_000)
  expect(at.starts).toHaveLength(7)
  const afterWork = waits(at)[4]! - 5_001
  expect(afterWork).toBeGreaterThanOrEqual(99)
  expect(afterWork).toBeLessThanOrEqual(201)
  expect(Math.abs(at.failures[4]!.nextDelayMs - afterWork)).toBeLessThan(2)
  expect(at.failures[4]!.message).toBe('lost the link')
})

test('an earlier failure continues the series', async () => {
  const at = open(fail, fail, fail, failAfter(4_000), untilStopped)
  await vi.advanceTimersByTimeAsync(20_000)
  expect(waits(at)[3]! - 4_000).toBeGreaterThanOrEqual(799)
})

test('a fatal failure ends the service with that error', async () => {
  const fatal = new Fatal('the slot is gone')
  const at = open(fail, async () => {
    throw fatal
  })
  await vi.advanceTimersByTimeAsync(1_000)
  await expect(at.over).rejects.toBe(fatal)
  expect(at.starts).toHaveLength(2)
})

test('a stop works while the service runs, and while it waits for a restart', async () => {
  const running = open(untilStopped)
  running.stop.abort()
  await running.over
  const waiting = open(fail)
  await vi.advanceTimersByTimeAsync(10)
  expect(waiting.starts).toHaveLength(1)
  waiting.stop.abort()
  await waiting.over
  await vi.advanceTimersByTimeAsync(5_000)
  expect(waiting.starts).toHaveLength(1)
})

test('a service that fails during its stop is not restarted, and the stop succeeds', async () => {
  const at = open(
    signal =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('cut off')), { once: true })
      }),
  )
  at.stop.abort()
  await at.over
  expect(at.starts).toHaveLength(1)
})
