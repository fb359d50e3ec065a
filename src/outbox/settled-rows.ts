import { laneKey, type NextOfShipment, splitInTwo } from '../domain/shipment.ts'
import type { TimeId } from '../domain/time-id.ts'
import type { ClaimedDelivery, Shipment } from './shipment.ts'

/** What becomes of one delivery, and of its lane where no other one of it follows. */
export type SettledRow = {
  readonly delivery: ClaimedDelivery
  readonly attempts: number
  readonly state: NextOfShipment['state']
  /** In how many ms the lane is due. */
  readonly waitMs: number
  /** The part of a divided batch that it belongs to from now on; null: it waits in its lane. */
  readonly batchId: TimeId | null
  /** Set where the shipment holds several of the lane: whether another one follows this, and in the last of them all. */
  readonly isFollowed: boolean | null
  readonly laneEvents: readonly TimeId[] | null
}

/**
 * A batch is claimed by the lane of its first event. Its other lanes are due that much later, so that nobody meets
 * them before; who does all the same puts them off again.
 */
export const followerLaterMs = 60_000

/** One row for each delivery of the settlements. `newIds` holds two ids for each of them that is `split`. */
export function settledRows(
  settlements: readonly { readonly shipment: Shipment; readonly next: NextOfShipment }[],
  newIds: readonly TimeId[],
): SettledRow[] {
  const ids = [...newIds]
  return settlements.flatMap(({ shipment, next }) => {
    const { deliveries } = shipment
    switch (next.state) {
      case 'done':
      case 'dead':
        return rowsOf(deliveries, { state: next.state, attempts: 1, waitMs: 0, laterMs: 0, batchId: null })
      case 'retry': {
        const attempts = next.costsAttempt ? 1 : 0
        return rowsOf(deliveries, { ...next, attempts, laterMs: followerLaterMs, batchId: null })
      }
      case 'split': {
        const { parts, behind } = splitInTwo(deliveries)
        const rows = parts.flatMap((part, i) => {
          // Of a lane that is divided itself, what waits behind is not in a batch any more.
          const waiting = i === 0 ? behind : []
          return rowsOf(
            part,
            { ...next, attempts: null, laterMs: followerLaterMs, batchId: ids.pop()! },
            waiting,
          )
        })
        return rows
      }
      default:
        return next satisfies never
    }
  })
}

/**
 * `attempts` is added to what each has had, or null: it begins anew. The lane of the first delivery is due in `waitMs`,
 * the others `laterMs` after it. `behind` holds the deliveries that stand behind the last one in its lane.
 */
function rowsOf(
  deliveries: readonly ClaimedDelivery[],
  fate: {
    state: SettledRow['state']
    attempts: number | null
    waitMs: number
    laterMs: number
    batchId: TimeId | null
  },
  behind: readonly ClaimedDelivery[] = [],
): SettledRow[] {
  const all = behind.length === 0 ? deliveries : [...deliveries, ...behind]
  // Most have but one, and its lane needs no name.
  const lanes = all.length === 1 ? null : Map.groupBy(all, laneKey)
  const leader = lanes && laneKey(all[0]!)
  return all.map((delivery, i) => {
    const key = lanes && laneKey(delivery)
    const lane = key === null ? [delivery] : lanes!.get(key)!
    const isAlone = lane.length === 1
    return {
      delivery,
      state: fate.state,
      attempts: fate.attempts === null ? 0 : delivery.attempts + fate.attempts,
      waitMs: key === leader ? fate.waitMs : fate.waitMs + fate.laterMs,
      batchId: i < deliveries.length ? fate.batchId : null,
      isFollowed: isAlone ? null : delivery !== lane.at(-1),
      laneEvents: isAlone || delivery !== lane.at(-1) ? null : lane.map(({ eventId }) => eventId),
    }
  })
}
