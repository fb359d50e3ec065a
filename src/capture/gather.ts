import type { ParkedChange } from '../domain/event.ts'
import type { Lsn } from '../domain/lsn.ts'
import { nextId, type TimeId } from '../domain/time-id.ts'
import { type EventColumns, openEventColumns } from '../outbox/event-columns.ts'
import type { Batch, TransactionPart } from './inbox.ts'
import type { Mapped } from './map.ts'

/** What one append stores: batches that are mapped and written down, one behind the other. */
export type Gathered = {
  readonly events: EventColumns
  parked: ParkedChange[]
  /** Of the last transaction that is in it, whole or in part; null where it holds none. */
  commitLsn: Lsn | null
  lastEventId: TimeId
  /** How far all of it may be confirmed once it has committed; null while its last transaction is not whole. */
  confirmLsn: Lsn | null
  probe: string | null
  changes: number
  truncated: string[]
  /** When the last of its transactions committed in the source. */
  committedAt: Date
  /** When its first batch was taken, in milliseconds since 1970; null where there is none. */
  takenAtMs: number | null
}

/** As much is gathered before it is stored, in bytes of the statement's parameters, and never much more. */
const fullBytes = 786_432

export const isFull = ({ events }: Gathered) => events.bytes() >= fullBytes

export function emptyGathered(events = openEventColumns()): Gathered {
  events.clear()
  return {
    events,
    parked: [],
    commitLsn: null,
    lastEventId: 0n,
    confirmLsn: null,
    probe: null,
    changes: 0,
    truncated: [],
    committedAt: new Date(0),
    takenAtMs: null,
  }
}

/**
 * Makes the function that maps a batch and adds it to what is gathered. Events get their ids here, and those of a
 * transaction that comes in chunks go on counting. Transactions at or before `storedLsn` are passed over: what a
 * killed process had stored and not confirmed comes again.
 */
export function createGatherer(options: {
  map: (parts: readonly TransactionPart[]) => Promise<Mapped>
  storedLsn: Lsn
  lastEventId: TimeId
  nowMs: () => number
}) {
  let { lastEventId } = options
  /** The transaction of which chunks have come, and how many events and parked changes they gave. */
  let chunked: { commitLsn: Lsn; count: number } | null = null

  return async (gathered: Gathered, batch: Batch): Promise<void> => {
    gathered.takenAtMs ??= options.nowMs()
    const parts = (batch.kind === 'chunk' ? [batch.part] : batch.parts).filter(
      part => part.commitLsn > options.storedLsn,
    )
    const last = parts.at(-1)
    if (last) {
      const { events, parked, truncated } = await options.map(parts)
      const indexOf = ({ commitLsn, index }: { commitLsn: Lsn; index: number }) =>
        commitLsn === chunked?.commitLsn ? chunked.count + index : index
      for (const event of events) {
        lastEventId = nextId(lastEventId, options.nowMs())
        gathered.events.add({ ...event, id: lastEventId, index: indexOf(event) })
      }
      gathered.parked.push(...parked.map(change => ({ ...change, index: indexOf(change) })))
      gathered.truncated.push(...truncated)
      gathered.changes += parts.reduce((sum, part) => sum + part.changes.length, 0)
      gathered.commitLsn = last.commitLsn
      gathered.committedAt = last.committedAt
      gathered.lastEventId = lastEventId
      if (batch.kind === 'chunk') {
        const before = last.commitLsn === chunked?.commitLsn ? chunked.count : 0
        chunked = { commitLsn: last.commitLsn, count: before + events.length + parked.length }
      }
    }
    if (batch.kind === 'chunk') {
      gathered.confirmLsn = null
      return
    }
    gathered.confirmLsn = batch.confirmLsn
    gathered.probe = batch.probe ?? gathered.probe
  }
}
