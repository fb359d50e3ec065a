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

type Place = { readonly commitLsn: Lsn; readonly committedAt: Date }

/** A page of a backfill, as what its mark's transaction did. */
export type GatheredPage = Place & {
  readonly taken: NonNullable<ReturnType<Pages['take']>>
  readonly events: readonly StoredEvent[]
  readonly parked: readonly ParkedChange[]
}

/** What one append stores: batches that are mapped and written down, one behind the other. */
export type Gathered = {
  readonly events: EventColumns
  /** The same as they are, for whoever delivers in this process; null where they are too many to be kept. */
  kept: StoredEvent[] | null
  /** Those of its events that are traced. */
  traced: TracedEvent[]
  parked: ParkedChange[]
  /** The last transaction that is in it, whole or in part; null where it holds none. */
  last: Place | null
  lastEventId: TimeId
  /** Where the WAL ended when what the events tell was read from tables; null: nothing was. */
  readLsn: Lsn | null
  /** How far all of it may be confirmed once it has committed; null while its last transaction is not whole. */
  confirmLsn: Lsn | null
  probe: string | null
  changes: number
  truncated: string[]
  /** When its first batch was taken, in milliseconds since 1970; null where there is none. */
  takenAtMs: number | null
  /** The page whose place is behind all of it. */
  page: GatheredPage | null
  /** The last transaction, which is whole, has emptied tables: the index of the first `delete` that is to follow. */
  deletionsFrom: number | null
  /** A batch was added by half only: what is here is not to be stored. */
  isSpoiled: boolean
}

/** As much is gathered before it is stored, in bytes of the statement's parameters, and never much more. */
const fullBytes = 786_432

/** So many events of one append, in so many bytes, are kept in memory until it has committed. */
const mostKept = 1_000
const mostKeptBytes = 1_048_576
const mayKeep = (events: EventColumns) => events.count() <= mostKept && events.bytes() <= mostKeptBytes

/** So much is read from a table for a batch, in bytes; more of it only where that is a single change. */
const mostReadBytes = 16 * 1_048_576

export const isFull = ({ events }: Gathered) => events.bytes() >= fullBytes

/**
 * Whether a batch may be stored together with what is gathered. Whole transactions are not held up by the chunks of one
 * that is still on its way, and what is stored at the end of a transaction comes before the next one.
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

/** Gives ids to events, in the order in which they are asked for. */
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

/** A page in the place of its mark; null where the mark is no page's. */
function placePage(taken: ReturnType<Pages['take']>, place: Place, ids: EventIds): GatheredPage | null {
  if (!taken) return null
  const { events, parked } = taken.content
  const { commitLsn } = place
  return {
    ...place,
    taken,
    events: events.map((event, index) => ({ ...event, ...place, index, id: ids.next() })),
    parked: parked.map((change, i) => ({ ...change, commitLsn, index: events.length + i })),
  }
}

/**
 * Makes the function that maps a batch and adds it to what is gathered. Events get their ids here, and those of a
 * transaction that comes in chunks go on counting. Transactions at or before `storedLsn` are passed over: what a
 * killed process had stored and not confirmed comes again.
 */
export function createGatherer(options: {
  map: (parts: readonly TransactionPart[], isWhole: boolean, mostBytes: number) => Promise<Mapped>
  storedLsn: Lsn
  ids: EventIds
  pages: Pages
  truncations: Truncations
  nowMs: () => number
  /** Null or absent: nothing is traced. */
  trace?: TraceAppends | null | undefined
}) {
  const { ids, pages, truncations, trace = null } = options
  /** The transaction of which chunks have come, and how many events and parked changes they gave. */
  let chunked: { commitLsn: Lsn; count: number } | null = null
  const countOf = (commitLsn: Lsn) => (commitLsn === chunked?.commitLsn ? chunked.count : 0)

  async function add(
    gathered: Gathered,
    parts: readonly TransactionPart[],
    { isWhole, mostBytes }: { isWhole: boolean; mostBytes: number },
  ) {
    const last = parts.at(-1)
    if (!last) return
    const { commitLsn, committedAt } = last
    const mapped = await options.map(parts, isWhole, mostBytes)
    gathered.isSpoiled = true
    truncations.add(mapped.emptied, ids.last())
    pages.observe(parts, mapped)
    const placed = <T extends WebhookEvent | ParkedChange>(item: T): T => ({
      ...item,
      index: countOf(item.commitLsn) + item.index,
    })
    for (const event of mapped.events) addEvent(gathered, { ...placed(event), id: ids.next() }, trace)
    gathered.parked.push(...mapped.parked.map(placed))
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
    const mostBytes = divide(batch, 0.5) === null ? Number.POSITIVE_INFINITY : mostReadBytes
    await add(
      gathered,
      parts.filter(part => part.commitLsn > options.storedLsn),
      { isWhole, mostBytes },
    )
    gathered.confirmLsn = isWhole ? batch.confirmLsn : null
    if (isWhole) gathered.probe = batch.probe ?? gathered.probe
  }

  /** Returns what of the batch must wait: its rows are too large to be read at once. */
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
