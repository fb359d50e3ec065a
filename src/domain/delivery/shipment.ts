import { entityKey } from '../event/entity.ts'
import type { TimeId } from '../value/time-id.ts'
import { decideNext, longestRetryAfterMs, type Next } from './retry.ts'

/** What a batch's body may hold, in bytes, unless a single event is larger. */
export const maxBatchBytes = 1_000_000

/** How often a batch fails, whatever the reason, before it is sent in parts. */
const patience = 4
/** The receiver speaks of itself, not of what it was sent: smaller requests would not help it. */
const busyStatuses = [429, 502, 503, 504]
const tooLarge = 413

/** What becomes of a shipment after an attempt; `split`: its events are sent in two parts. */
export type NextOfShipment = Next | { readonly state: 'split'; readonly waitMs: number }

/**
 * Decides what follows attempt `number` (from 1) of a shipment of `size` events. One event is tried again by the
 * schedule until it is dead. Several are tried again together, and then in parts, so that one event that a receiver
 * can't take does not hold up the others; they never die together:
 *
 * - refused for the second time: in parts, at once. Too large (413): at the first time.
 * - a receiver that is busy or does not answer says nothing about the events: in parts after four times, when the
 *   schedule says.
 * - the end of the schedule: in parts, each with a schedule of its own.
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
 * The two parts of a shipment that are sent from now on, each with the entities of its own, and of an entity that has to
 * be divided itself the part that waits behind (`behind`). At least two deliveries. No order is lost: what is of one
 * entity is in one part, or waits.
 */
export function splitInTwo<T extends OfEntity>(
  deliveries: readonly T[],
): { readonly parts: readonly (readonly T[])[]; readonly behind: readonly T[] } {
  const entities = [...Map.groupBy(deliveries, entityKey).values()]
  const half = Math.ceil(deliveries.length / 2)
  if (entities.length === 1) return { parts: [deliveries.slice(0, half)], behind: deliveries.slice(half) }
  const first: T[] = [...entities[0]!]
  let taken = 1
  while (taken < entities.length - 1 && first.length + entities[taken]!.length <= half)
    first.push(...entities[taken++]!)
  return { parts: [first, entities.slice(taken).flat()].map(byEvent), behind: [] }
}

/**
 * Packs the oldest of what waits into batches of at most `maxEvents` events and `maxBytes` bytes, entity by entity,
 * as they come. An entity goes into one batch only: what does not fit of it goes on waiting. The last batch may be
 * smaller (`isFull` false) than it would be if more was waiting. Within a batch, events are in the order of their ids.
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

/** The body of a batch: a JSON array of the same objects that would be sent one by one. */
export function batchBody(bodies: readonly string[]): string {
  return `[${bodies.join(',')}]`
}

/**
 * The `webhook-id` of a batch of `size` events: the same on every attempt of it, and another one for each of its
 * parts. A batch never grows, so that what is left of it, where one of its events was cancelled, has another id too.
 */
export function batchMessageId(webhookId: number, batchId: TimeId, size: number): string {
  return `batch_${webhookId}_${batchId}_${size}`
}
