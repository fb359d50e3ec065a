import { entityKey } from '../event/entity.ts'
import type { TimeId } from '../value/time-id.ts'
import { decideNext, longestRetryAfterMs, type Next } from './retry.ts'

/** The maximum body of a batch in bytes, unless a single event is larger. */
export const maxBatchBytes = 1_000_000

/** A batch is split after this many failures of any kind. */
const patience = 4
/** The receiver's state, not the request, caused these: smaller requests would not help. */
const busyStatuses = [429, 502, 503, 504]
const tooLarge = 413

/** The next state of a shipment after an attempt; `split`: its events are sent in two parts. */
export type NextOfShipment = Next | { readonly state: 'split'; readonly waitMs: number }

/**
 * Decides what follows attempt `number` (from 1) of a shipment of `size` events. One event is retried by the schedule until
 * it is dead. Several are retried together, then split, so that one bad event does not block the others; they never die
 * together:
 *
 * - refused twice: split at once. Too large (413): at the first time.
 * - busy or no response: split after four failures, when the schedule says.
 * - end of the schedule: split, each part with a new schedule.
 */
export function decideNextOfShipment(
  input: Parameters<typeof decideNext>[0] & { status: number | null; size: number },
): NextOfShipment {
  const { outcome, number, status, size } = input
  const next = decideNext(input)
  if (size === 1 || outcome === 'delivered' || outcome === 'cancelled') return next
  const isAboutEvents = outcome === 'refused' && status !== null && !busyStatuses.includes(status)
  if (isAboutEvents && (number >= 2 || status === tooLarge))
    return { state: 'split', waitMs: Math.min(input.retryAfterMs ?? 0, longestRetryAfterMs) }
  if (next.state === 'dead') return { state: 'split', waitMs: input.scheduleMs.at(-1) ?? 0 }
  return next.state === 'retry' && number >= patience ? { state: 'split', waitMs: next.waitMs } : next
}

type OfEntity = { readonly entityType: string; readonly entityId: string; readonly eventId: TimeId }

/**
 * Splits a shipment of at least two deliveries in two, each with entities of its own. If one entity itself is split, its
 * second part waits behind the first (`following`). The order within an entity is kept.
 */
export function splitInTwo<T extends OfEntity>(
  deliveries: readonly T[],
): { readonly parts: readonly (readonly T[])[]; readonly following: readonly T[] } {
  const entities = [...Map.groupBy(deliveries, entityKey).values()]
  const half = Math.ceil(deliveries.length / 2)
  if (entities.length === 1) return { parts: [deliveries.slice(0, half)], following: deliveries.slice(half) }
  const first: T[] = [...entities[0]!]
  let taken = 1
  while (taken < entities.length - 1 && first.length + entities[taken]!.length <= half)
    first.push(...entities[taken++]!)
  return { parts: [first, entities.slice(taken).flat()].map(byEvent), following: [] }
}

/**
 * Packs the oldest waiting deliveries into batches of at most `maxEvents` events and `maxBytes` bytes, entity by entity, as
 * they come. An entity is in one batch only, and the rest of it waits. The last batch may be smaller (`isFull` false) than
 * with more deliveries. Events in a batch are ordered by id.
 */
export function pack<T extends OfEntity & { readonly bytes: number }>(
  entities: readonly (readonly T[])[],
  { maxEvents, maxBytes }: { maxEvents: number; maxBytes: number },
): { readonly deliveries: readonly T[]; readonly isFull: boolean }[] {
  const batches: { deliveries: T[]; bytes: number; isFull: boolean }[] = []
  let batch: (typeof batches)[number] | undefined
  for (const entity of entities) {
    let isTaken = false
    for (const delivery of entity) {
      const needed = delivery.bytes + 1
      let fits =
        batch !== undefined && batch.deliveries.length < maxEvents && batch.bytes + needed <= maxBytes
      if (batch && !fits) batch.isFull = true
      if (!fits && !isTaken) {
        batch = { deliveries: [], bytes: 1, isFull: false }
        batches.push(batch)
        fits = true
      }
      if (!fits) break
      batch!.deliveries.push(delivery)
      batch!.bytes += needed
      isTaken = true
    }
    if (batch?.deliveries.length === maxEvents) batch.isFull = true
  }
  return batches.map(({ deliveries, isFull }) => ({ deliveries: byEvent(deliveries), isFull }))
}

function byEvent<T extends OfEntity>(deliveries: readonly T[]): T[] {
  return deliveries.toSorted((a, b) => (a.eventId < b.eventId ? -1 : 1))
}

/** The body of a batch: a JSON array of the single bodies. */
export function batchBody(bodies: readonly string[]): string {
  return `[${bodies.join(',')}]`
}

/**
 * The `webhook-id` of a batch of `size` events: equal for each attempt, different for each part. A batch never grows, so the
 * rest of one with a cancelled event has another id too.
 */
export function batchMessageId(webhookId: number, batchId: TimeId, size: number): string {
  return `batch_${webhookId}_${batchId}_${size}`
}
