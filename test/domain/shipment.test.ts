import { expect, test } from 'vitest'
import type { Outcome } from '../../src/domain/delivery/outcome.ts'
import { batchBody, decideNextOfShipment, pack, splitInTwo } from '../../src/domain/delivery/shipment.ts'
import { defaultScheduleMs } from '../support/schedule.ts'

const minute = 60_000
const decide = (input: {
  outcome?: Outcome
  status?: number | null
  number?: number
  size?: number
  retryAfterMs?: number
}) =>
  decideNextOfShipment({
    outcome: 'refused',
    status: 500,
    number: 1,
    size: 10,
    retryAfterMs: null,
    scheduleMs: defaultScheduleMs,
    random: 0.5,
    ...input,
  })
const retry = (waitMs: number, costsAttempt = true) => ({ state: 'retry', waitMs, costsAttempt })
const split = (waitMs: number) => ({ state: 'split', waitMs })

test.each([
  [{ outcome: 'delivered', status: 200 }, { state: 'done' }],
  [{ outcome: 'cancelled', status: null }, retry(0, false)],
  [{ number: 1 }, retry(5_000)],
  [{ number: 2 }, split(0)],
  [{ number: 2, retryAfterMs: 7_000 }, split(7_000)],
  [{ number: 2, status: 400 }, split(0)],
  [{ number: 2, status: 301 }, split(0)],
  [{ number: 1, status: 413 }, split(0)],
  // A receiver that is busy or away says nothing about the events.
  [{ number: 2, status: 503 }, retry(5 * minute)],
  [{ number: 3, status: 429, retryAfterMs: 60 * minute }, retry(60 * minute)],
  [{ number: 4, status: 502 }, split(120 * minute)],
  [{ number: 3, outcome: 'unreachable', status: null }, retry(30 * minute)],
  [{ number: 4, outcome: 'unreachable', status: null }, split(120 * minute)],
  [{ number: 4, outcome: 'blocked', status: null }, split(120 * minute)],
  // Several events never die together.
  [{ number: 10, outcome: 'unreachable', status: null }, split(24 * 60 * minute)],
  // One event follows the usual schedule.
  [{ size: 1, number: 2 }, retry(5 * minute)],
  [{ size: 1, number: 1, status: 413 }, retry(5_000)],
  [{ size: 1, number: 9 }, retry(24 * 60 * minute)],
  [{ size: 1, number: 10 }, { state: 'dead' }],
] as const)('the shipment after %j is %j', (input, next) => {
  expect(decide(input)).toEqual(next)
})

const deliveries = (text: string) =>
  text.split(' ').map((entityId, i) => ({ entityType: 'user', entityId, eventId: BigInt(i + 1) }))
const show = (part: readonly { entityId: string; eventId: bigint }[]) =>
  part.map(({ entityId, eventId }) => `${entityId}${eventId}`).join(' ')

test.each<[string, parts: string[], following: string]>([
  ['a b', ['a1', 'b2'], ''],
  ['a b c', ['a1 b2', 'c3'], ''],
  ['a b c d', ['a1 b2', 'c3 d4'], ''],
  // An entity stays together, and its order is kept.
  ['a b a b', ['a1 a3', 'b2 b4'], ''],
  ['a b b b b', ['a1', 'b2 b3 b4 b5'], ''],
  ['a a a a b', ['a1 a2 a3 a4', 'b5'], ''],
  ['a b c a a', ['a1 a4 a5', 'b2 c3'], ''],
  // Alone, it is divided itself: what is behind waits for what is before.
  ['a a', ['a1'], 'a2'],
  ['a a a', ['a1 a2'], 'a3'],
])('%s is sent as %j, and %j stays pending', (text, parts, following) => {
  const result = splitInTwo(deliveries(text))
  expect(result.parts.map(show)).toEqual(parts)
  expect(show(result.following)).toBe(following)
})

const runs = (text: string, bytes = 10) => {
  const waiting = deliveries(text).map(each => ({ ...each, bytes }))
  return [...Map.groupBy(waiting, ({ entityId }) => entityId).values()]
}

test.each<[string, maxEvents: number, maxBytes: number, batches: string[]]>([
  ['a', 2, 1000, ['a1']],
  ['a b', 2, 1000, ['a1 b2 full']],
  ['a b c', 2, 1000, ['a1 b2 full', 'c3']],
  // Several of one entity go together, in the order of their ids; what does not fit waits.
  ['a b a b', 10, 1000, ['a1 b2 a3 b4']],
  ['a a a', 2, 1000, ['a1 a2 full']],
  ['a b a b b', 3, 1000, ['a1 b2 a3 full']],
  ['a b a b b c', 3, 1000, ['a1 b2 a3 full', 'c6']],
  // Brackets and commas count; what is too large alone goes alone.
  ['a b c', 10, 23, ['a1 b2 full', 'c3']],
  ['a b c', 10, 22, ['a1 full', 'b2 full', 'c3']],
  ['a b', 10, 5, ['a1 full', 'b2']],
])('%s packed by %d events and %d bytes gives %j', (text, maxEvents, maxBytes, batches) => {
  expect(
    pack(runs(text), { maxEvents, maxBytes }).map(
      batch => `${show(batch.deliveries)}${batch.isFull ? ' full' : ''}`,
    ),
  ).toEqual(batches)
})

test('a packed body has exactly its computed size', () => {
  const bodies = ['{"a":1}', '{"b":"ë"}', '{}']
  const waiting = bodies.map((body, i) => [
    { entityType: 'user', entityId: String(i), eventId: BigInt(i), bytes: Buffer.byteLength(body) },
  ])
  const size = Buffer.byteLength(batchBody(bodies))
  expect(pack(waiting, { maxEvents: 10, maxBytes: size })).toHaveLength(1)
  expect(pack(waiting, { maxEvents: 10, maxBytes: size - 1 })).toHaveLength(2)
})

/** Sends a batch that holds events which are always refused. Returns how many requests each good event waited for. */
function isolate(entityOf: readonly string[], bad: ReadonlySet<number>) {
  let waiting = deliveries(entityOf.join(' '))
  let batches: { deliveries: typeof waiting; attempts: number }[] = []
  const delivered: bigint[] = []
  const dead: bigint[] = []
  let requests = 0
  while (waiting.length > 0 || batches.length > 0) {
    if (batches.length === 0) {
      // What waited behind goes out in a batch of its own, once its entity is free.
      batches = [{ deliveries: waiting, attempts: 0 }]
      waiting = []
    }
    const batch = batches.shift()!
    requests++
    const isRefused = batch.deliveries.some(({ eventId }) => bad.has(Number(eventId)))
    const next = decide({
      outcome: isRefused ? 'refused' : 'delivered',
      number: batch.attempts + 1,
      size: batch.deliveries.length,
    })
    if (next.state === 'done') delivered.push(...batch.deliveries.map(({ eventId }) => eventId))
    else if (next.state === 'retry' && batch.deliveries.length === 1) dead.push(batch.deliveries[0]!.eventId)
    else if (next.state === 'retry') batches.push({ ...batch, attempts: batch.attempts + 1 })
    else {
      const { parts, following } = splitInTwo(batch.deliveries)
      batches.push(...parts.map(part => ({ deliveries: [...part], attempts: 0 })))
      waiting = [...waiting, ...following].sort((a, b) => Number(a.eventId - b.eventId))
    }
  }
  return { delivered, dead, requests }
}

test('one bad event among 1,000 entities is isolated after at most 2 + 3 × 10 requests, and no other event dies', () => {
  for (const bad of [1, 2, 500, 501, 999, 1000]) {
    const entityOf = Array.from({ length: 1000 }, (_, i) => String(i))
    const { delivered, dead, requests } = isolate(entityOf, new Set([bad]))
    expect(dead).toEqual([BigInt(bad)])
    expect(delivered).toHaveLength(999)
    expect(requests).toBeLessThanOrEqual(2 + 3 * 10)
  }
})

test('with any entities and bad events, all good events are delivered, in order per entity', () => {
  for (let round = 0; round < 500; round++) {
    const size = 1 + Math.floor(Math.random() * 60)
    const entityOf = Array.from({ length: size }, () => String(Math.floor(Math.random() ** 2 * 12)))
    const bad = new Set(
      Array.from({ length: Math.floor(Math.random() * 4) }, () => 1 + Math.floor(Math.random() * size)),
    )
    const { delivered, dead } = isolate(entityOf, bad)
    expect(new Set(dead.map(Number))).toEqual(bad)
    expect([...delivered, ...dead].map(Number).sort((a, b) => a - b)).toEqual(entityOf.map((_, i) => i + 1))
    const lastOf = new Map<string, bigint>()
    for (const id of delivered) {
      const entity = entityOf[Number(id) - 1]!
      expect(id).toBeGreaterThan(lastOf.get(entity) ?? 0n)
      lastOf.set(entity, id)
    }
  }
})
