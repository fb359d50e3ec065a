import { type NextOfShipment, splitInTwo } from '../../domain/delivery/shipment.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { AsideRow } from '../aside/aside.ts'
import type { Delivery, Shipment } from '../aside/shipment.ts'

/** A delivery after its attempt: the values to write, and its state when sent. */
type AfterAttempt = Delivery & {
  /** The attempts before this one. */
  readonly tried: number
  /** The batch of its row; null: a single row taken by the holder. */
  readonly fromBatch: TimeId | null
}

/** One that leaves the queue. */
export type EndedRow = AfterAttempt & {
  readonly state: 'done' | 'dead'
  /** Whether it is a row; an earlier end stays. */
  readonly isRow: boolean
}

/** A row to be retried. */
export type MovedRow = AfterAttempt & {
  /** Its batch from now on. */
  readonly batchId: TimeId | null
  /** Null: with its batch, or behind an older row. */
  readonly dueInMs: number | null
}

/** A batch to be retried, or a part of an earlier one; null: it ends. */
export type MovedBatch = {
  readonly webhookId: number
  readonly batchId: TimeId
  readonly share: number
  readonly dueInMs: number | null
}

/** The results of a settlement's shipments. */
export type SettledRows = {
  readonly ended: readonly EndedRow[]
  readonly moved: readonly MovedRow[]
  readonly aside: readonly AsideRow[]
  readonly batches: readonly MovedBatch[]
}

type Settled = { readonly shipment: Shipment; readonly next: NextOfShipment }

/**
 * The result of each delivery:
 *
 * | | done | retry | dead | split |
 * |---|---|---|---|---|
 * | from the log | nothing | a row, due later | ended as dead | - |
 * | a row | deleted | due later | deleted, ended as dead | - |
 * | a batch | deleted with its rows | due later | deleted, ended as dead (of one event) | two batches, also of one event |
 *
 * `membersOf`: the remaining rows of a batch that the holder still has, or null. `newIds`: two ids per settlement that is
 * `split`.
 */
export function settledRows(
  settlements: readonly Settled[],
  membersOf: (shipment: Shipment) => ReadonlySet<TimeId> | null,
  newIds: readonly TimeId[],
): SettledRows {
  const ids = [...newIds]
  const parts = settlements.map(({ shipment, next }) => {
    if (shipment.batchId === null) return ofOne(shipment, next)
    const members = membersOf(shipment)
    const left = shipment.deliveries.filter(({ eventId }) => members?.has(eventId))
    return members === null ? {} : ofBatch(shipment, shipment.batchId, left, next, ids)
  })
  return {
    ended: parts.flatMap(part => part.ended ?? []),
    moved: parts.flatMap(part => part.moved ?? []),
    aside: parts.flatMap(part => part.aside ?? []),
    batches: parts.flatMap(part => part.batches ?? []),
  }
}

const after = (delivery: Delivery, fromBatch: TimeId | null, attempts: number) => ({
  ...delivery,
  tried: delivery.attempts,
  attempts,
  fromBatch,
})

function ofOne({ deliveries: [delivery], isAside }: Shipment, next: NextOfShipment): Partial<SettledRows> {
  switch (next.state) {
    case 'done':
    case 'dead':
      if (next.state === 'done' && !isAside) return {}
      return {
        ended: [{ ...after(delivery, null, delivery.attempts + 1), state: next.state, isRow: isAside }],
      }
    case 'retry':
    case 'split': {
      const attempts = delivery.attempts + (next.state === 'retry' && !next.costsAttempt ? 0 : 1)
      const dueInMs = next.waitMs
      return isAside
        ? { moved: [{ ...after(delivery, null, attempts), batchId: null, dueInMs }] }
        : { aside: [{ ...delivery, attempts, dueInMs, takenBy: null }] }
    }
    default:
      return next satisfies never
  }
}

function ofBatch(
  { webhookId, deliveries: [{ share }] }: Shipment,
  id: TimeId,
  left: readonly Delivery[],
  next: NextOfShipment,
  newIds: TimeId[],
): Partial<SettledRows> {
  const batch = (batchId: TimeId, dueInMs: number | null) => ({ webhookId, batchId, share, dueInMs })
  switch (next.state) {
    case 'done':
    case 'dead': {
      const { state } = next
      const ended = left.map(each => ({ ...after(each, id, each.attempts + 1), state, isRow: true }))
      return { ended, batches: [batch(id, null)] }
    }
    case 'retry': {
      const cost = next.costsAttempt ? 1 : 0
      const moved = left.map(each => ({
        ...after(each, id, each.attempts + cost),
        batchId: id,
        dueInMs: null,
      }))
      return { moved, batches: [batch(id, left.length === 0 ? null : next.waitMs)] }
    }
    case 'split': {
      const { waitMs } = next
      const { parts, following } = left.length < 2 ? { parts: [left], following: [] } : splitInTwo(left)
      const into = (batchId: TimeId | null) => (each: Delivery) => ({
        ...after(each, id, 0),
        batchId,
        dueInMs: null,
      })
      const made = parts.filter(part => part.length > 0).map(part => ({ partId: newIds.pop()!, part }))
      return {
        moved: [...following.map(into(null)), ...made.flatMap(({ partId, part }) => part.map(into(partId)))],
        batches: [batch(id, null), ...made.map(({ partId }) => batch(partId, waitMs))],
      }
    }
    default:
      return next satisfies never
  }
}
