import type { PoolClient } from 'pg'
import type { ParkedChange } from '../../domain/event/event.ts'
import type { TraceAppends, TracedEvent } from '../../domain/shown/spans.ts'
import { mostTraced } from '../../domain/shown/trace.ts'
import type { Lsn } from '../../domain/value/lsn.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import type { LogEvent } from '../../outbox/log/log.ts'
import type { Position } from '../../outbox/log/position.ts'
import { createNotes } from '../stream/notes.ts'
import type { EventIds } from './gather.ts'
import type { Truncations } from './truncations.ts'

/** What was stored with one commit of the outbox. */
export type Stored = {
  readonly changes: number
  readonly events: number
  /** Tables that a TRUNCATE emptied: their rows' ids are not in the WAL. */
  readonly truncated: readonly string[]
  readonly parked: readonly ParkedChange[]
  /** When the last of the source's transactions committed there. */
  readonly committedAt: Date
}

/** Events that were appended with one commit. */
export type AppendedEvents = {
  /** The newest event of the log before them: nothing is in between. */
  readonly previousEventId: TimeId
  readonly lastEventId: TimeId
  /** The newest version of the webhooks that any of them was appended under. */
  readonly webhooksVersion: number
  /** As they would be read; null: they are to be read. */
  readonly events: readonly LogEvent[] | null
}

export type StorerOptions = {
  readonly outbox: Outbox
  readonly slotName: string
  readonly position: Position
  readonly ids: EventIds
  readonly truncations: Truncations
  readonly nowMs: () => number
  readonly confirm: (lsn: Lsn) => void
  readonly onStored: (stored: Stored) => void
  readonly onProbe: (id: string) => void
  /** Null or absent: nothing is traced. */
  readonly trace?: TraceAppends | null | undefined
  /** Called after each commit that has made events visible, in their order. */
  readonly onAppended?: ((appended: AppendedEvents) => void) | undefined
}

/** How far storing has come. */
export type Storing = StorerOptions & {
  readonly notes: ReturnType<typeof createNotes>
  /** The stored position. */
  commitLsn: Lsn
  /** How far the appends since the last commit note that the slot may be confirmed. */
  appendedLsn: Lsn
  /** The newest event that has committed. */
  newestEventId: TimeId
  /** The outbox transaction of a source transaction that needs more than one statement; most of the time there is none. */
  client: PoolClient | null
  /** What that transaction has appended. */
  uncommitted: Omit<AppendedEvents, 'previousEventId'> | null
  /** Of the events that were appended since the last commit, what is traced of them; null: nothing is. */
  traced: Tracing | null
  /** What was stored since `onStored` was last called. */
  tally: ReturnType<typeof emptyTally>
}

type Tracing = { readonly startMs: number; readonly traced: TracedEvent[]; events: number }

export function emptyTally() {
  return {
    changes: 0,
    events: 0,
    truncated: [] as string[],
    parked: [] as ParkedChange[],
    committedAt: new Date(0),
  }
}

export function startStoring(options: StorerOptions): Storing {
  const { commitLsn, confirmedLsn, lastEventId } = options.position
  return {
    ...options,
    notes: createNotes(confirmedLsn ?? 0n, options.nowMs),
    commitLsn,
    appendedLsn: 0n,
    newestEventId: lastEventId,
    client: null,
    uncommitted: null,
    traced: null,
    tally: emptyTally(),
  }
}

/** Events have committed: tells whoever delivers in this process. */
export function tellAppended(storing: Storing, appended: Omit<AppendedEvents, 'previousEventId'>): void {
  storing.onAppended?.({ previousEventId: storing.newestEventId, ...appended })
  storing.newestEventId = appended.lastEventId
  const { trace, traced, nowMs } = storing
  if (trace && traced) trace.committed(traced.traced, { ...traced, endMs: nowMs() })
  storing.traced = null
}

/** Notes that events were appended, from `startMs` on, to be traced once they have committed. Those that were set aside are no events. */
export function noteTraced(
  storing: Storing,
  startMs: number,
  {
    traced,
    events,
    setAside,
  }: { traced: readonly TracedEvent[]; events: number; setAside: readonly ParkedChange[] },
): void {
  const noted = storing.traced ?? { startMs, traced: [], events: 0 }
  const isAside = (event: TracedEvent) =>
    setAside.some(({ commitLsn, index }) => commitLsn === event.commitLsn && index === event.index)
  noted.traced.push(...traced.filter(event => !isAside(event)).slice(0, mostTraced - noted.traced.length))
  noted.events += events - setAside.length
  storing.traced = noted
}

export async function inSavepoint<T>(
  client: PoolClient,
  work: (client: PoolClient) => Promise<T>,
): Promise<T> {
  await client.query('savepoint chunk')
  try {
    const result = await work(client)
    await client.query('release savepoint chunk')
    return result
  } catch (error) {
    await client.query('rollback to savepoint chunk')
    throw error
  }
}
