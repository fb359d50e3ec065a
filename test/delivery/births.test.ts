import { expect, test } from 'vitest'
import { createBirths } from '../../src/delivery/births.ts'
import { createPlaces } from '../../src/delivery/places.ts'
import type { Birth } from '../../src/outbox/birth.ts'

/** Webhooks that have taken something, on a clock that a test moves. */
function open(webhookIds: readonly number[]) {
  const at = {
    nowMs: 0,
    due: new Set<number>(),
    isSending: true,
    sent: [] as number[],
    released: [] as number[],
  }
  const clockMs = () => at.nowMs
  const places = createPlaces({ most: 10, total: 1_000, nowMs: clockMs })
  const births = createBirths({
    agenda: { isDue: id => at.due.has(id) },
    places,
    newLease: () => 'lease',
    leaseMs: 30_000,
    deadlineMs: 15_000,
    clockMs,
    isSending: () => at.isSending,
    send: webhook => at.sent.push(webhook.id),
    release: webhookId => at.released.push(webhookId),
    onRoom() {},
  })
  for (const id of webhookIds) {
    places.meet(id, 'https://crm.example.com/')
    births.befriend(id)
  }
  return { at, births, places }
}

const birthOf = (id: number) => ({ webhook: { id }, shipments: [] }) as unknown as Birth

test('a webhook of which something due waits is not offered: what is new would overtake it again and again', () => {
  const { at, births } = open([1, 2])
  at.due.add(1)
  const offer = births.offer(5)!
  expect([...offer.rooms]).toEqual([[2, 5]])
  offer.take([])
  at.due.add(2)
  expect(births.offer(5)).toBeNull()
  at.due.clear()
  expect(births.offer(5)!.rooms.size).toBe(2)
})

test('a lease that may end before the attempt does is given back', () => {
  const { at, births } = open([1])
  const [inTime, late] = [births.offer(1)!, births.offer(1)!]
  at.nowMs = 15_000
  inTime.take([birthOf(1)])
  at.nowMs = 15_001
  late.take([birthOf(1)])
  expect(at).toMatchObject({ sent: [1], released: [1] })
})

test('those that took something lately are offered, a bounded number of them', () => {
  const { births } = open(Array.from({ length: 40 }, (_, i) => i + 1))
  const offered = [...births.offer(1)!.rooms.keys()]
  expect(offered).toHaveLength(32)
  expect(offered).not.toContain(1)
  expect(offered).toContain(40)
})
