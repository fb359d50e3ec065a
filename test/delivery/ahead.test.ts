import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createAhead } from '../../src/delivery/ahead.ts'
import { createPlaces } from '../../src/delivery/places.ts'
import type { BusyWebhook } from '../../src/outbox/busy.ts'
import type { Shipment } from '../../src/outbox/shipment.ts'

const webhook = { id: 1, url: 'https://crm.example.com/' } as BusyWebhook
const inTime = { sendBeforeMs: 15_000, isAll: true }

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

/** One webhook with ten places, on a clock that a test moves. */
function open() {
  const at = { nowMs: 0, sent: [] as string[], released: [] as string[] }
  const clockMs = () => at.nowMs
  const places = createPlaces({ most: 10, total: 1_000, nowMs: clockMs })
  const ahead = createAhead({
    places,
    clockMs,
    send: (_, { deliveries }) => at.sent.push(deliveries[0].entityId),
    release: (_, lanes) => at.released.push(...lanes.map(({ entityId }) => entityId)),
  })
  let claimed = 0
  return {
    at,
    ahead,
    wanted: () => ahead.wanted(webhook.id),
    /** The answer to a claim, of so many shipments, named by their number. */
    shipments: (count: number) =>
      Array.from(
        { length: count },
        () => ({ deliveries: [{ entityId: String(++claimed) }] }) as unknown as Shipment,
      ),
    end(attempts: number) {
      for (let i = 0; i < attempts; i++) {
        places.end(webhook.id, webhook.url, { answer: 'delivered', startedAtMs: 0, retryAfterMs: null })
        places.settled(webhook.id)
        ahead.ended(webhook.id)
      }
    },
    pass(ms: number) {
      at.nowMs += ms
      vi.advanceTimersByTime(ms)
    },
  }
}

/** Ten in flight, and so many claimed ahead of their places. */
function openFull(early: number) {
  const opened = open()
  const { ahead, end, shipments, wanted } = opened
  expect(wanted()).toBe(10)
  ahead.claiming(webhook.id)(webhook, shipments(10), inTime)
  const claimed = ahead.claiming(webhook.id)
  end(early)
  claimed(webhook, shipments(early), inTime)
  expect(wanted()).toBe(early)
  ahead.claiming(webhook.id)(webhook, shipments(early), inTime)
  return opened
}

test('a claim asks for as many more as attempts ended during the one before', () => {
  const { ahead, end, shipments, wanted } = open()
  ahead.claiming(webhook.id)(webhook, shipments(10), inTime)
  expect(wanted()).toBe(0)
  const claimed = ahead.claiming(webhook.id)
  end(4)
  expect(wanted()).toBe(4)
  claimed(webhook, shipments(4), inTime)
  // All ten places are taken, and four of them will be free when the next claim is back.
  expect(wanted()).toBe(4)
})

test('where a claim found less than it asked for, no more is claimed than there are places', () => {
  const { ahead, end, shipments, wanted } = open()
  ahead.claiming(webhook.id)(webhook, shipments(10), inTime)
  const claimed = ahead.claiming(webhook.id)
  end(4)
  claimed(webhook, shipments(3), { ...inTime, isAll: false })
  expect(wanted()).toBe(1)
})

test('what comes before its place waits for attempts that end, in its order, and nothing more is claimed meanwhile', () => {
  const { at, end, wanted } = openFull(3)
  expect(at.sent).toHaveLength(13)
  expect(wanted()).toBe(0)
  end(2)
  expect(at.sent.slice(13)).toEqual(['14', '15'])
  end(2)
  expect(at.sent.slice(13)).toEqual(['14', '15', '16'])
})

test('what has found no place within 200 ms is given back, and not sent any more', () => {
  const { at, end, pass } = openFull(3)
  pass(150)
  end(1)
  pass(51)
  expect(at.released).toEqual(['15', '16'])
  end(5)
  expect(at.sent).toHaveLength(14)
})

test('nothing is sent under a lease that may end before the attempt does', () => {
  const { at, ahead, pass, shipments } = open()
  const claimed = ahead.claiming(webhook.id)
  at.nowMs = 15_001
  claimed(webhook, shipments(2), inTime)
  pass(1)
  expect(at).toMatchObject({ sent: [], released: ['1', '2'] })
})

test('at the end all that waits is given back', () => {
  const { at, ahead, pass } = openFull(3)
  ahead.giveUp()
  expect(at.released).toEqual(['14', '15', '16'])
  pass(1_000)
  expect(at.released).toHaveLength(3)
})
