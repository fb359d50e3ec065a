import type { ParkedChange, StoredEvent, WebhookEvent } from '../../domain/event/event.ts'
import type { TraceAppends, TracedEvent } from '../../domain/shown/spans.ts'
import type { Lsn } from '../../domain/value/lsn.ts'
import { nextId, type TimeId } from '../../domain/value/time-id.ts'
import { type EventColumns, openEventColumns } from '../../outbox/log/event-columns.ts'
import type { Pages } from '../backfill/pages.ts'
import type { Mapped } from '../map/map.ts'
import type { Batch, TransactionPart } from '../stream/batch.ts'
import { TooMuch } from '../stream/read-up-to.ts'
import { divide } from './divide.ts'
import type { Truncations } from './truncations.ts'

type CommitPoint = { readonly commitLsn: Lsn; readonly committedAt: Date }

/** A backfill page, at its mark's transaction. */
export type GatheredPage = CommitPoint & {
  readonly taken: NonNullable<ReturnType<Pages['take']>>
  readonly events: readonly StoredEvent[]
  readonly parked: readonly ParkedChange[]
}

/** The content of one append: mapped batches, as parameters. */
export type Gathered = {
  readonly events: EventColumns
  /** The same as objects, for delivery in this process; null: too many. */
  kept: StoredEvent[] | null
  traced: TracedEvent[]
  parked: ParkedChange[]
  /** Its last transaction, complete or not; null: none. */
  last: CommitPoint | null
  lastEventId: TimeId
  /** The end of the WAL when the events' values were read from tables; null: none were. */
  readLsn: Lsn | null
  /** The position to confirm after the commit; null: its last transaction is incomplete. */
  confirmLsn: Lsn | null
  probe: string | null
  changes: number
  truncated: string[]
  /** When its first batch was taken, in milliseconds since 1970; null: none. */
  takenAtMs: number | null
  /** The page placed after all of it. */
  page: GatheredPage | null
  /** The last, complete transaction truncated tables: the index of the first `delete` to follow. */
  deletionsFrom: number | null
  /** A batch was added only partially: this must not be stored. */
  isSpoiled: boolean
}

/** The approximate limit of one append, in bytes of parameters. */
const fullBytes = 786_432

/** The limits of events kept in memory until the commit. */
const maxKept = 4_000
const maxKeptBytes = 1_572_864
const mayKeep = (events: EventColumns) => events.count() <= maxKept && events.bytes() <= maxKeptBytes

/** The limit of table reads per batch, in bytes; a single change may exceed it. */
const maxReadBytes = 16 * 1_048_576

export const isFull = ({ events }: Gathered) => events.bytes() >= fullBytes

/**
 * Whether a batch may join the gathered ones. Whole transactions do not wait for another one's chunks, and work at a
 * transaction's end comes before the next.
 */
export function canFollow(gathered: Gathered, batch: Batch): boolean {
  if (gathered.page || gathered.deletionsFrom !== null) return false
  return batch.kind === 'complete' || gathered.confirmLsn === null
}

export function emptyGathered(events = openEventColumns()): Gathered {
  events.clear()
  return {
    events,
    kept: [],
    traced: [],
    parked: [],
    last: null,
    lastEventId: 0n,
    readLsn: null,
    confirmLsn: null,
    probe: null,
    changes: 0,
    truncated: [],
    takenAtMs: null,
    page: null,
    deletionsFrom: null,
    isSpoiled: false,
  }
}

/** Assigns ids to events, in order. */
export type EventIds = { next(): TimeId; last(): TimeId }

export function createEventIds(last: TimeId, nowMs: () => number): EventIds {
  return {
    next() {
      last = nextId(last, nowMs())
      return last
    },
    last: () => last,
  }
}

function addEvent(gathered: Gathered, event: StoredEvent, trace: TraceAppends | null): void {
  gathered.events.add(event)
  gathered.kept?.push(event)
  if (trace !== null) trace.pick(gathered.traced, event)
  if (!mayKeep(gathered.events)) gathered.kept = null
}

/** A page at its mark; null: the mark has none. */
function placePage(taken: ReturnType<Pages['take']>, point: CommitPoint, ids: EventIds): GatheredPage | null {
  if (!taken) return null
  const { events, parked } = taken.content
  const { commitLsn } = point
  return {
    ...point,
    taken,
    events: events.map((event, index) => ({ ...event, ...point, index, id: ids.next() })),
    parked: parked.map((change, i) => ({ ...change, commitLsn, index: events.length + i })),
  }
}

/**
 * Creates the function that maps a batch and adds it to the gathered ones. Events get their ids here, counting on across
 * chunks. Transactions up to `storedLsn` are skipped: they were stored before a crash.
 */
export function createGatherer(options: {
  map: (parts: readonly TransactionPart[], isWhole: boolean, maxBytes: number) => Promise<Mapped>
  storedLsn: Lsn
  ids: EventIds
  pages: Pages
  truncations: Truncations
  nowMs: () => number
  /** Null or absent: no tracing. */
  trace?: TraceAppends | null | undefined
}) {
  const { ids, pages, truncations, trace = null } = options
  /** The transaction in chunks, with its events and parked changes so far. */
  let chunked: { commitLsn: Lsn; count: number } | null = null
  const countOf = (commitLsn: Lsn) => (commitLsn === chunked?.commitLsn ? chunked.count : 0)

  async function add(
    gathered: Gathered,
    parts: readonly TransactionPart[],
    { isWhole, maxBytes }: { isWhole: boolean; maxBytes: number },
  ) {
    const last = parts.at(-1)
    if (!last) return
    const { commitLsn, committedAt } = last
    const mapped = await options.map(parts, isWhole, maxBytes)
    gathered.isSpoiled = true
    truncations.add(mapped.emptied, ids.last())
    pages.observe(parts, mapped)
    const indexOf = ({ commitLsn, index }: WebhookEvent | ParkedChange) => countOf(commitLsn) + index
    for (const event of mapped.events)
      addEvent(gathered, { ...event, index: indexOf(event), id: ids.next() }, trace)
    gathered.parked.push(...mapped.parked.map(change => ({ ...change, index: indexOf(change) })))
    gathered.truncated.push(...mapped.truncated)
    gathered.changes += parts.reduce((sum, part) => sum + part.changes.length, 0)
    gathered.last = { commitLsn, committedAt }
    gathered.lastEventId = ids.last()
    gathered.readLsn = mapped.readLsn ?? gathered.readLsn
    const count = countOf(commitLsn) + mapped.events.length + mapped.parked.length
    if (!isWhole) chunked = { commitLsn, count }
    else if (truncations.isPending()) gathered.deletionsFrom = count
    if (last.mark !== null) gathered.page = placePage(pages.take(last.mark), { commitLsn, committedAt }, ids)
    gathered.isSpoiled = false
  }

  async function addBatch(gathered: Gathered, batch: Batch): Promise<void> {
    gathered.takenAtMs ??= options.nowMs()
    const isWhole = batch.kind === 'complete'
    const parts = isWhole ? batch.parts : [batch.part]
    const maxBytes = divide(batch, 0.5) === null ? Number.POSITIVE_INFINITY : maxReadBytes
    await add(
      gathered,
      parts.filter(part => part.commitLsn > options.storedLsn),
      { isWhole, maxBytes },
    )
    gathered.confirmLsn = isWhole ? batch.confirmLsn : null
    if (isWhole) gathered.probe = batch.probe ?? gathered.probe
  }

  /** Returns the rest of the batch if its rows are too large to be read at once. */
  return async (gathered: Gathered, batch: Batch): Promise<readonly Batch[]> => {
    let rest: readonly Batch[] = []
    for (let first = batch; ; )
      try {
        if (!canFollow(gathered, first)) return [first, ...rest]
        await addBatch(gathered, first)
        return rest
      } catch (error) {
        const divided = error instanceof TooMuch ? divide(first, error.share) : null
        if (!divided) throw error
        first = divided[0]
        rest = [divided[1], ...rest]
      }
  }
}
