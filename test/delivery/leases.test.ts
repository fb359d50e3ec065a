import { afterEach, expect, test, vi } from 'vitest'
import { openSender } from '../../src/delivery/attempt.ts'
import { createGuard } from '../../src/delivery/guard.ts'
import { createLeases } from '../../src/delivery/leases.ts'
import { elapsedMs } from '../../src/domain/elapsed.ts'
import { allowing } from '../domain/allowing.ts'
import { answer, startRawReceiver } from '../support/raw-receiver.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

test('what has passed is what the clock says that is further; nobody knows once the day was set back', () => {
  const from = { monotonicMs: 100, wallMs: 1_000_000 }
  const after = (monotonicMs: number, wallMs: number) =>
    elapsedMs(from, { monotonicMs: 100 + monotonicMs, wallMs: 1_000_000 + wallMs })
  expect(after(5_000, 5_001)).toBe(5_001)
  // The machine was suspended.
  expect(after(1, 60_000)).toBe(60_000)
  // The day is corrected, slowly.
  expect(after(5_000, 4_500)).toBe(5_000)
  // An hour back, whenever.
  expect(after(5_000, -3_600_000)).toBeNull()
  expect(after(30_000, 5_000)).toBeNull()
})

test('a lease ends by whichever clock is further, and is not held where nobody knows', () => {
  let now = { monotonicMs: 0, wallMs: 0 }
  let count = 0
  const leases = createLeases({ newLease: () => `lease ${++count}`, leaseMs: 30_000, now: () => now })
  const lease = leases.take()
  now = { monotonicMs: 29_999, wallMs: 29_999 }
  expect(leases.isHeld(lease)).toBe(true)
  now = { monotonicMs: 10, wallMs: 30_000 }
  expect(leases.isHeld(lease)).toBe(false)
  now = { monotonicMs: 30_000, wallMs: 29_500 }
  expect(leases.isHeld(lease)).toBe(false)
  now = { monotonicMs: 10_000, wallMs: -60_000 }
  expect(leases.isHeld(lease)).toBe(false)
  expect(leases.isHeld('another')).toBe(false)
})

const never = new AbortController().signal
const deadlineMs = 1_500

function openTestSender() {
  const guard = createGuard({ allow: allowing('127.0.0.0/8,hook.test'), resolve: async () => ['127.0.0.1'] })
  const sender = openSender({ guard, deadlineMs, connectTimeoutMs: 1_000, maxResponseBytes: 1_024 })
  return { ...sender, [Symbol.asyncDispose]: sender.close }
}
const requestTo = (port: number) => ({
  url: `http://hook.test:${port}/`,
  headers: { 'content-length': '2' },
  body: '{}',
})

/** While it connects, so much passes on the clock of the day and nothing on the other. */
test.each([
  ['a suspended machine', deadlineMs + 1, { outcome: 'unreachable', failure: { errorClass: 'timeout' } }],
  ['a clock that was set back', -60_000, { outcome: 'cancelled', failure: null }],
])('%s sends nothing over a connection that was being opened', async (_, jumpMs, expected) => {
  let jump = 0
  const now = Date.now.bind(Date)
  vi.spyOn(Date, 'now').mockImplementation(() => now() + jump)
  await using receiver = await startRawReceiver({ onRequest: socket => answer(socket) })
  await using sender = openTestSender()
  const late = sender.post(requestTo(receiver.port), never)
  jump = jumpMs
  expect(await late).toMatchObject({ ...expected, response: null })
  jump = 0
  expect(await sender.post(requestTo(receiver.port), never)).toMatchObject({ outcome: 'delivered' })
  expect(receiver.requests()).toBe(1)
})

test('nothing leaves once the lease has ended, also over a kept connection: the attempt is cancelled', async () => {
  await using receiver = await startRawReceiver({ onRequest: socket => answer(socket) })
  await using sender = openTestSender()
  let isHeld = true
  const send = () => sender.post(requestTo(receiver.port), never, () => isHeld)
  expect(await send()).toMatchObject({ outcome: 'delivered' })
  isHeld = false
  expect(await send()).toMatchObject({ outcome: 'cancelled', failure: null, response: null })
  expect(await send()).toMatchObject({ outcome: 'cancelled', failure: null, response: null })
  expect(receiver.requests()).toBe(1)
})
