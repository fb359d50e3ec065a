import { expect, test } from 'vitest'
import {
  decideHealth,
  disableAt,
  type Health,
  isOverdue,
  type News,
  willBeDisabledAt,
} from '../../src/domain/health.ts'

const day = 86_400_000
const now = new Date('2026-01-10T12:00:00Z')
const ago = (ms: number) => new Date(now.getTime() - ms)
const ahead = (ms: number) => new Date(now.getTime() + ms)
const quiet: News = { isDelivered: false, isFailing: false, isExhausted: false, holdMs: 0, gone: null }
const well: Health = { failingSince: null, heldUntil: null }
const decide = (health: Partial<Health>, news: Partial<News>, hasDead = false) =>
  decideHealth({ ...well, ...health }, { ...quiet, ...news }, { now, hasDead })

test.each<[string, Partial<Health>, Partial<News>, boolean, Health, boolean]>([
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

test('where nothing changes, the same value comes back, and nothing is written', () => {
  const failing: Health = { failingSince: ago(day), heldUntil: ahead(60_000) }
  for (const news of [
    { ...quiet, isFailing: true },
    { ...quiet, holdMs: 60_500 },
  ])
    expect(decideHealth(failing, news, { now, hasDead: true }).health).toBe(failing)
  expect(decideHealth(well, { ...quiet, isDelivered: true }, { now, hasDead: false }).health).toBe(well)
})

test('the reason tells since when, and what to do', () => {
  expect(decide({ failingSince: ago(5 * day) }, { isFailing: true }, true).disable).toMatch(
    /since 2026-01-05T12:00:00\.000Z, for more than 5 days, .*Activate it again/,
  )
})

test('when it will happen is told of webhooks that are active and failing', () => {
  const failing = { isActive: true, disabledAt: null, failingSince: ago(day) }
  expect(willBeDisabledAt(failing)).toEqual(ahead(4 * day))
  expect(disableAt(ago(day))).toEqual(ahead(4 * day))
  expect(willBeDisabledAt({ ...failing, failingSince: null })).toBeNull()
  expect(willBeDisabledAt({ ...failing, isActive: false })).toBeNull()
  expect(willBeDisabledAt({ ...failing, disabledAt: ago(1) })).toBeNull()
})

test('an event is overdue once it has waited for longer than all retries take', () => {
  expect(isOverdue(0, 6_000, [1_000, 5_000])).toBe(false)
  expect(isOverdue(0, 6_001, [1_000, 5_000])).toBe(true)
})
