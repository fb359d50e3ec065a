import { type NextOfShipment, splitInTwo } from '../domain/shipment.ts'
import type { TimeId } from '../domain/time-id.ts'
import type { AsideRow } from './aside.ts'
import type { Delivery, Shipment } from './shipment.ts'

/** A delivery that leaves the queue, with its row where it has one. */
export type EndedRow = {
  readonly delivery: Delivery
  readonly state: 'done' | 'dead'
  readonly attempts: number
  /** Whether it is a row; one that somebody has ended meanwhile stays ended. */
  readonly isRow: boolean
  /** The batch that the row is in; null: it is a row by itself, taken by the holder. */
  readonly fromBatch: TimeId | null
}

/** A row that is tried again. */
export type MovedRow = {
  readonly delivery: Delivery
  readonly attempts: number
  readonly fromBatch: TimeId | null
  /** The batch that it is in from now on. */
  readonly batchId: TimeId | null
  /** Null: when its batch is, or behind an older row. */
  readonly dueInMs: number | null
}

/** A batch that is tried again, or a part of one before. */
export type MovedBatch = {
  readonly webhookId: number
  readonly id: TimeId
  readonly share: number
  readonly dueInMs: number
}

/** Everything that a settlement makes of its shipments. */
export type SettledRows = {
  readonly ended: readonly EndedRow[]
  readonly moved: readonly MovedRow[]
  readonly aside: readonly AsideRow[]
  readonly batches: readonly MovedBatch[]
  readonly endedBatches: readonly { readonly webhookId: number; readonly id: TimeId }[]
}

type Settled = { readonly shipment: Shipment; readonly next: NextOfShipment }

/**
 * What becomes of each delivery:
 *
 * | | done | retry | dead | split |
 * |---|---|---|---|---|
 * | from the log | nothing | a row, due later | ended as dead | - |
 * | a row | deleted | due later | deleted, ended as dead | - |
 * | a batch | deleted with its rows | due later | deleted, ended as dead (of one event) | two batches, also of one event |
 *
 * `membersOf` tells which rows are left of a batch that the holder still has, or null. `newIds` holds two ids for each settlement
 * that is `split`.
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
    endedBatches: parts.flatMap(part => part.endedBatches ?? []),
  }
}

function ofOne({ deliveries: [delivery], isAside }: Shipment, next: NextOfShipment): Partial<SettledRows> {
  switch (next.state) {
    case 'done':
    case 'dead': {
      if (next.state === 'done' && !isAside) return {}
      const attempts = delivery.attempts + 1
      return {
        ended: [{ delivery, state: next.state, attempts, isRow: isAside, fromBatch: null }],
      }
    }
    case 'retry':
    case 'split': {
      const attempts = delivery.attempts + (next.state === 'retry' && !next.costsAttempt ? 0 : 1)
      const dueInMs = next.waitMs
      return isAside
        ? { moved: [{ delivery, attempts, fromBatch: null, batchId: null, dueInMs }] }
        : { aside: [{ ...delivery, attempts, dueInMs, takenBy: null }] }
    }
    default:
      return next satisfies never
  }
}

function ofBatch(
  { webhookId, deliveries: [first] }: Shipment,
  id: TimeId,
  left: readonly Delivery[],
  next: NextOfShipment,
  newIds: TimeId[],
): Partial<SettledRows> {
  const { share } = first
  switch (next.state) {
    case 'done':
    case 'dead': {
      const { state } = next
      const ended = left.map(delivery => ({
        delivery,
        state,
        attempts: delivery.attempts + 1,

        isRow: true,
        fromBatch: id,
      }))
      return { ended, endedBatches: [{ webhookId, id }] }
    }
    case 'retry': {
      if (left.length === 0) return { endedBatches: [{ webhookId, id }] }
      const cost = next.costsAttempt ? 1 : 0
      const moved = left.map(delivery => ({
        delivery,
        attempts: delivery.attempts + cost,
        fromBatch: id,
        batchId: id,
        dueInMs: null,
      }))
      return { moved, batches: [{ webhookId, id, share, dueInMs: next.waitMs }] }
    }
    case 'split': {
      const { parts, behind } = left.length < 2 ? { parts: [left], behind: [] } : splitInTwo(left)
      const { waitMs } = next
      const anew = (delivery: Delivery, batchId: TimeId | null) => ({
        delivery,
        attempts: 0,
        fromBatch: id,
        batchId,
        dueInMs: null,
      })
      const moved: MovedRow[] = behind.map(delivery => anew(delivery, null))
      const batches: MovedBatch[] = []
      for (const part of parts) {
        if (part.length === 0) continue
        const partId = newIds.pop()!
        moved.push(...part.map(delivery => anew(delivery, partId)))
        batches.push({ webhookId, id: partId, share, dueInMs: waitMs })
      }
      return { moved, batches, endedBatches: [{ webhookId, id }] }
    }
    default:
      return next satisfies never
  }
}
