import { expect, test } from 'vitest'
import {
  decideHealth,
  disableAt,
  type FailingTime,
  type Health,
  type HealthReport,
  isOverdue,
  noteFailure,
  willBeDisabledAt,
} from '../../src/domain/delivery/health.ts'

const day = 86_400_000
const now = new Date('2026-01-10T12:00:00Z')
const ago = (ms: number) => new Date(now.getTime() - ms)
const ahead = (ms: number) => new Date(now.getTime() + ms)
const quiet: HealthReport = {
  isDelivered: false,
  isFailing: false,
  isExhausted: false,
  holdMs: 0,
  gone: null,
}
const well: Health = { failingSince: null, heldUntil: null }
const decide = (health: Partial<Health>, news: Partial<HealthReport>, hasDead = false) =>
  decideHealth({ ...well, ...health }, { ...quiet, ...news }, { now, hasDead })

test.each<[string, Partial<Health>, Partial<HealthReport>, boolean, Health, boolean]>([
  [
    'the first failure is noted',
    {},
    { isFailing: true },
    false,
    { failingSince: now, heldUntil: null },
    false,
  ],
  [
    'the next is not',
    { failingSince: ago(day) },
    { isFailing: true },
    false,
    { failingSince: ago(day), heldUntil: null },
    false,
  ],
  ['a failed entity of a webhook that works is not', {}, {}, false, well, false],
  ['one success ends it', { failingSince: ago(4 * day) }, { isDelivered: true }, false, well, false],
  [
    'also beside failures',
    { failingSince: ago(9 * day) },
    { isDelivered: true, isFailing: true, isExhausted: true },
    true,
    well,
    false,
  ],
  [
    'five days without a dead delivery are not enough',
    { failingSince: ago(5 * day) },
    { isFailing: true },
    false,
    { failingSince: ago(5 * day), heldUntil: null },
    false,
  ],
  [
    'five days with one that died before',
    { failingSince: ago(5 * day) },
    { isFailing: true },
    true,
    { failingSince: ago(5 * day), heldUntil: null },
    true,
  ],
  [
    'five days with one that dies now',
    { failingSince: ago(5 * day) },
    { isFailing: true, isExhausted: true },
    false,
    { failingSince: ago(5 * day), heldUntil: null },
    true,
  ],
  [
    'a moment less than five days',
    { failingSince: ago(5 * day - 1) },
    { isFailing: true, isExhausted: true },
    true,
    { failingSince: ago(5 * day - 1), heldUntil: null },
    false,
  ],
  [
    'only a failure disables',
    { failingSince: ago(9 * day) },
    { isExhausted: true },
    true,
    { failingSince: ago(9 * day), heldUntil: null },
    false,
  ],
  ['410 disables at once', {}, { gone: 'It answered 410 Gone.' }, false, well, true],
  [
    'Retry-After holds',
    {},
    { holdMs: 60_000 },
    false,
    { failingSince: null, heldUntil: ahead(60_000) },
    false,
  ],
  [
    'a longer one renews',
    { heldUntil: ahead(59_000) },
    { holdMs: 60_000 },
    false,
    { failingSince: null, heldUntil: ahead(60_000) },
    false,
  ],
  [
    'by less than a second is not worth it',
    { heldUntil: ahead(59_001) },
    { holdMs: 60_000 },
    false,
    { failingSince: null, heldUntil: ahead(59_001) },
    false,
  ],
  [
    'a shorter one does not cut it',
    { heldUntil: ahead(60_000) },
    { holdMs: 5_000 },
    false,
    { failingSince: null, heldUntil: ahead(60_000) },
    false,
  ],
  [
    'a success does not end a hold',
    { heldUntil: ahead(60_000) },
    { isDelivered: true },
    false,
    { failingSince: null, heldUntil: ahead(60_000) },
    false,
  ],
])('%s', (_what, health, news, hasDead, expected, isDisabled) => {
  const decided = decide(health, news, hasDead)
  expect(decided.health).toEqual(expected)
  expect(decided.disable !== null).toBe(isDisabled)
})

test('without a change the same value is returned, so nothing is written', () => {
  const failing: Health = { failingSince: ago(day), heldUntil: ahead(60_000) }
  for (const news of [
    { ...quiet, isFailing: true },
    { ...quiet, holdMs: 60_500 },
  ])
    expect(decideHealth(failing, news, { now, hasDead: true }).health).toBe(failing)
  expect(decideHealth(well, { ...quiet, isDelivered: true }, { now, hasDead: false }).health).toBe(well)
})

test('the reason contains the start and the fix', () => {
  expect(decide({ failingSince: ago(5 * day) }, { isFailing: true }, true).disable).toMatch(
    /since 2026-01-05T12:00:00\.000Z, for more than 5 days .*Activate it again/,
  )
})

test('the time of disabling is known for active failing webhooks only', () => {
  const failing = { isActive: true, disabledAt: null, failingSince: ago(day) }
  expect(willBeDisabledAt(failing)).toEqual(ahead(4 * day))
  expect(disableAt(ago(day))).toEqual(ahead(4 * day))
  expect(willBeDisabledAt({ ...failing, failingSince: null })).toBeNull()
  expect(willBeDisabledAt({ ...failing, isActive: false })).toBeNull()
  expect(willBeDisabledAt({ ...failing, disabledAt: ago(1) })).toBeNull()
})

const minute = 60_000
const time = (change: Partial<FailingTime> = {}): FailingTime => ({
  failedForMs: day,
  failedAt: ago(5 * minute),
  nextTryAt: null,
  ...change,
})
const failure = { now, nextTryMs: null, isOurs: false }

test.each<[string, FailingTime | null, Date | null, { isOurs?: boolean }, number]>([
  ['the first failure begins', null, null, {}, 0],
  ['what was failing before this was noted keeps its time', null, ago(2 * day), {}, 2 * day],
  ['minutes between failures count', time(), ago(day), {}, day + 5 * minute],
  [
    'a day counts where that was the plan',
    time({ failedAt: ago(day), nextTryAt: ago(5 * minute) }),
    ago(2 * day),
    {},
    2 * day,
  ],
  [
    'six days in which walhook was stopped do not',
    time({ failedAt: ago(6 * day), nextTryAt: ago(6 * day - minute) }),
    ago(7 * day),
    {},
    day,
  ],
  ['nor six days in which nothing was to be sent', time({ failedAt: ago(6 * day) }), ago(7 * day), {}, day],
  ['nor what failed for a cause of our own', time(), ago(day), { isOurs: true }, day],
  ['a clock that was set back takes nothing away', time({ failedAt: ahead(2 * minute) }), ago(day), {}, day],
])('the failing time of a webhook: %s', (_what, before, since, news, failedForMs) => {
  expect(noteFailure(before, since, { ...failure, ...news })).toMatchObject({ failedForMs, failedAt: now })
})

test('the earliest planned attempt is kept until it is due', () => {
  const next = (before: FailingTime | null, nextTryMs: number | null) =>
    noteFailure(before, null, { ...failure, nextTryMs }).nextTryAt
  expect(next(null, null)).toBeNull()
  expect(next(null, 5_000)).toEqual(ahead(5_000))
  expect(next(time({ nextTryAt: ahead(2_000) }), 5_000)).toEqual(ahead(2_000))
  expect(next(time({ nextTryAt: ahead(9_000) }), 5_000)).toEqual(ahead(5_000))
  expect(next(time({ nextTryAt: ago(1) }), 5_000)).toEqual(ahead(5_000))
  expect(next(time({ nextTryAt: ahead(2_000) }), null)).toEqual(ahead(2_000))
})

test('a failure within a minute of the last one is not written, unless the limit is reached', () => {
  const just = time({ failedAt: ago(minute - 1) })
  expect(noteFailure(just, ago(day), failure)).toBe(just)
  const up = { ...just, failedForMs: 5 * day - minute }
  expect(noteFailure(up, ago(6 * day), failure).failedForMs).toBe(5 * day - 1)
})

test('pauses that do not count postpone the disabling', () => {
  const failing = { isActive: true, disabledAt: null, failingSince: ago(9 * day) }
  const at = (failingTime: FailingTime) => willBeDisabledAt({ ...failing, failingTime }, now)
  expect(at(time())).toEqual(new Date(ago(5 * minute).getTime() + 4 * day))
  // Nothing was tried as planned: walhook was stopped, and what is left begins when it fails again.
  expect(at(time({ failedAt: ago(6 * day), nextTryAt: ago(6 * day) }))).toEqual(ahead(4 * day))
  expect(at(time({ failedForMs: 6 * day, failedAt: now }))).toEqual(now)
})

test('only time with attempts counts towards the five days', () => {
  const news = { ...quiet, isFailing: true, isExhausted: true }
  const decideAfter = (failedForMs: number) =>
    decideHealth({ failingSince: ago(9 * day), heldUntil: null }, news, { now, hasDead: true, failedForMs })
  expect(decideAfter(5 * day - 1).disable).toBeNull()
  expect(decideAfter(5 * day).disable).toMatch(/not counting times when walhook sent nothing/)
})

test('an event is overdue once it has waited for longer than all retries take', () => {
  expect(isOverdue(0, 6_000, [1_000, 5_000])).toBe(false)
  expect(isOverdue(0, 6_001, [1_000, 5_000])).toBe(true)
})
