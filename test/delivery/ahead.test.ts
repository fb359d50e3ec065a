import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createAhead } from '../../src/delivery/ahead.ts'
import { createPlaces } from '../../src/delivery/places.ts'
import type { BusyWebhook } from '../../src/outbox/busy.ts'
import type { Shipment } from '../../src/outbox/shipment.ts'

const webhook = { id: 1, url: 'https://crm.example.com/' } as BusyWebhook

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
    send({ id, url }, { deliveries }) {
      places.begin(id, url)
      at.sent.push(deliveries[0].entityId)
    },
    release: (_, lanes) => at.released.push(...lanes.map(({ entityId }) => entityId)),
  })
  let claimed = 0
  /** The answer to a claim, of so many shipments, named by their number. */
  const shipments = (count: number) =>
    Array.from(
      { length: count },
      () => ({ deliveries: [{ entityId: String(++claimed) }] }) as unknown as Shipment,
    )
  function end(attempts: number, tookMs = 20) {
    for (let i = 0; i < attempts; i++) {
      places.end(webhook.id, webhook.url, { answer: 'delivered', startedAtMs: 0, retryAfterMs: null })
      places.settled(webhook.id)
      ahead.ended(webhook.id, tookMs)
    }
  }
  return {
    at,
    ahead,
    shipments,
    end,
    wanted: () => ahead.wanted(webhook.id),
    /** A claim of so many that took `tookMs`, in which `ending` attempts ended. */
    claim(count: number, { tookMs = 6, ending = 0, attemptMs = 20, isAll = true } = {}) {
      const take = ahead.claiming(webhook.id)
      end(ending, attemptMs)
      at.nowMs += tookMs
      take(webhook, shipments(count), { sendBeforeMs: at.nowMs + 15_000, isAll })
    },
    pass(ms: number) {
      at.nowMs += ms
      vi.advanceTimersByTime(ms)
    },
  }
}

/** Ten in flight, of which one ended, and three claimed ahead of their places. */
function openFull() {
  const opened = open()
  expect(opened.wanted()).toBe(10)
  opened.claim(10)
  opened.claim(1, { ending: 1 })
  expect(opened.wanted()).toBe(3)
  opened.claim(3)
  return opened
}

test('a claim asks for as many more as will have ended when it is back', () => {
  const { claim, wanted } = open()
  claim(10)
  // How long an attempt takes is not known before one has ended.
  expect(wanted()).toBe(0)
  claim(1, { ending: 1, tookMs: 6, attemptMs: 20 })
  expect(wanted()).toBe(3)
  claim(0, { tookMs: 60 })
  expect(wanted()).toBe(10)
})

test('where a claim found less than it asked for, or the receiver is slow, no more is claimed than there are places', () => {
  const { claim, end, wanted } = open()
  claim(10)
  claim(1, { ending: 1 })
  claim(0, { isAll: false })
  expect(wanted()).toBe(0)
  claim(0)
  end(1, 200)
  expect(wanted()).toBe(1)
})

test('what comes before its place waits for attempts that end, in its order, and nothing more is claimed meanwhile', () => {
  const { at, end, wanted } = openFull()
  expect(at.sent).toHaveLength(11)
  expect(wanted()).toBe(0)
  end(2)
  expect(at.sent.slice(11)).toEqual(['12', '13'])
  end(2)
  expect(at.sent.slice(11)).toEqual(['12', '13', '14'])
})

test('what has found no place within 200 ms is given back, and not sent any more, also where its timer comes early', () => {
  const { at, end, pass } = openFull()
  pass(150)
  end(1)
  vi.advanceTimersByTime(51)
  expect(at.released).toEqual(['13', '14'])
  end(5)
  expect(at.sent).toHaveLength(12)
})

test('nothing is sent under a lease that may end before the attempt does', () => {
  const { at, ahead, pass, shipments } = open()
  const claimed = ahead.claiming(webhook.id)
  at.nowMs = 15_001
  claimed(webhook, shipments(2), { sendBeforeMs: 15_000, isAll: true })
  pass(1)
  expect(at).toMatchObject({ sent: [], released: ['1', '2'] })
})

test('at the end all that waits is given back', () => {
  const { at, ahead, pass } = openFull()
  ahead.giveUp()
  expect(at.released).toEqual(['12', '13', '14'])
  pass(1_000)
  expect(at.released).toHaveLength(3)
})
