import { afterEach, expect, test, vi } from 'vitest'
import { decideNext, earlyRetries, parseRetryAfter, parseSchedule } from '../../src/domain/delivery/retry.ts'
import { defaultScheduleMs } from '../support/schedule.ts'

const decide = (change: Partial<Parameters<typeof decideNext>[0]> = {}) =>
  decideNext({
    outcome: 'refused',
    number: 1,
    retryAfterMs: null,
    scheduleMs: defaultScheduleMs,
    random: 0.5,
    ...change,
  })
const seconds = (s: number) => s * 1_000
const hours = (h: number) => seconds(h * 3_600)

test('the schedule is the documented one of about 75 hours', () => {
  const waits = defaultScheduleMs.map((_, i) => {
    const next = decide({ number: i + 1 })
    return next.state === 'retry' && next.waitMs
  })
  expect(waits).toEqual([seconds(5), seconds(300), seconds(1_800), ...[2, 5, 10, 14, 20, 24].map(hours)])
  expect(Math.round(defaultScheduleMs.reduce((sum, ms) => sum + ms) / hours(1))).toBe(76)
  expect(decide({ number: 10 })).toEqual({ state: 'dead' })
})

test.each(['refused', 'unreachable', 'blocked'] as const)('%s costs an attempt', outcome => {
  expect(decide({ outcome })).toEqual({ state: 'retry', waitMs: seconds(5), costsAttempt: true })
})

test('a delivered attempt is done; one that a shutdown cut off is due at once and costs no attempt', () => {
  expect(decide({ outcome: 'delivered', number: 10 })).toEqual({ state: 'done' })
  expect(decide({ outcome: 'cancelled', number: 10 })).toEqual({
    state: 'retry',
    waitMs: 0,
    costsAttempt: false,
  })
})

test('each wait varies by ten percent', () => {
  expect(decide({ random: 0 })).toMatchObject({ waitMs: 4_500 })
  expect(decide({ random: 0.999999 })).toMatchObject({ waitMs: 5_500 })
})

test.each([
  [seconds(60), seconds(60)],
  [seconds(1), seconds(5)],
  [hours(30), hours(24)],
])(
  'a requested wait of %d ms after the first attempt makes it %d: never earlier than the schedule, at most a day',
  (input, waitMs) => {
    expect(decide({ retryAfterMs: input })).toMatchObject({ waitMs })
  },
)

test('Retry-After of a busy receiver is respected at no cost while the event is young', () => {
  const asked = { isAskedToWait: true, retryAfterMs: seconds(10), ageMs: seconds(60) }
  const soon = { state: 'retry', waitMs: seconds(10), costsAttempt: false }
  expect(decide({ ...asked, number: 1 })).toEqual({ ...soon, costsAttempt: true })
  expect(decide({ ...asked, number: 2 })).toEqual(soon)
  expect(decide({ ...asked, number: 3 })).toEqual(soon)
  expect(decide({ ...asked, number: 2, retryAfterMs: 0 })).toEqual({ ...soon, waitMs: seconds(5) })
  expect(decide({ ...asked, number: 2, retryAfterMs: hours(1) })).toEqual({ ...soon, waitMs: hours(1) })
  expect(decide({ ...asked, number: 4 })).toEqual({ state: 'retry', waitMs: hours(2), costsAttempt: true })
  expect(decide({ ...asked, number: 2, ageMs: seconds(2_106) })).toMatchObject({
    waitMs: seconds(300),
    costsAttempt: true,
  })
})

test('deliveries that failed before the recovery start the schedule again', () => {
  expect(decide({ number: 2, isOutdated: true })).toMatchObject({ waitMs: seconds(5), costsAttempt: true })
  expect(decide({ number: 2, isOutdated: true, retryAfterMs: seconds(60) })).toMatchObject({
    waitMs: seconds(60),
  })
  expect(decide({ number: 4, isOutdated: true })).toMatchObject({ waitMs: hours(2) })
  expect(decide({ number: 10, isOutdated: true })).toEqual({ state: 'dead' })
})

test('retries within the first half hour are early', () => {
  expect(earlyRetries(defaultScheduleMs)).toEqual({
    count: 3,
    longestMs: seconds(1_800),
    totalMs: seconds(2_105),
  })
  expect(earlyRetries([hours(1), seconds(5)])).toEqual({ count: 0, longestMs: 0, totalMs: 0 })
  expect(earlyRetries([seconds(1)])).toEqual({ count: 1, longestMs: seconds(1), totalMs: seconds(1) })
})

afterEach(() => {
  vi.unstubAllEnvs()
})

const nowMs = Date.UTC(2026, 0, 1, 12, 0, 0)
test.each([
  ['120', 120_000],
  [' 0 ', 0],
  ['1.2', 2_000],
  ['Thu, 01 Jan 2026 12:01:00 GMT', 60_000],
  ['Thursday, 01-Jan-26 12:01:00 GMT', 60_000],
  ['Thu Jan  1 12:01:00 2026', 60_000],
  ['Thu Jan 15 12:00:00 2026', hours(14 * 24)],
  ['Thu, 01 Jan 2026 11:00:00 GMT', 0],
  ['120, 60', 120_000],
  ['60,Thu, 01 Jan 2026 12:02:00 GMT', 120_000],
  ['Thu, 01 Jan 2026 12:01:00 GMT, Thu, 01 Jan 2026 12:03:00 GMT, soon', 180_000],
  ['soon, later', null],
  ['-5', null],
  ['soon', null],
  ['', null],
  ['2026-01-01', null],
  ['1e3', null],
  ['1.', null],
  ['٣', null],
  ['Thu, 01 Jan 2026 12:01:00', null],
  ['Thu, 01 Jan 2026 12:01:00 +0000', 60_000],
  ['Thu, 32 Jan 2026 12:01:00 GMT', null],
  ['Thu, 01 Jon 2026 12:01:00 GMT', null],
  ['try again in 2099', null],
  ['maintenance until Thu, 01 Jan 2099 12:01:00 GMT', null],
])('Retry-After: %j is %s ms in every time zone', (text, ms) => {
  for (const timeZone of ['UTC', 'America/New_York', 'Asia/Kolkata']) {
    vi.stubEnv('TZ', timeZone)
    expect(parseRetryAfter(text, nowMs)).toBe(ms)
  }
})

test('an overflowing number of seconds counts as a day', () => {
  expect(decide({ retryAfterMs: parseRetryAfter('9'.repeat(400), nowMs) })).toMatchObject({
    waitMs: hours(24),
  })
})

test.each([
  ['5s,5m,30m,2h,5h,10h,14h,20h,24h', defaultScheduleMs],
  [' 1s , 7d ', [1_000, 604_800_000]],
  [Array(50).fill('1s').join(','), Array(50).fill(1_000)],
  [Array(51).fill('1s').join(','), null],
  ['0s', null],
  ['8d', null],
  ['169h', null],
  ['1.5h', null],
  ['5', null],
  ['5 s', null],
  ['5s,,5m', null],
  ['-5s', null],
  ['5S', null],
  ['', null],
])('the schedule %j is %j', (text, ms) => {
  expect(parseSchedule(text)).toEqual(ms)
})
