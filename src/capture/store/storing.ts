import type { PoolClient } from 'pg'
import type { ParkedChange } from '../../domain/event/event.ts'
import type { TraceAppends, TracedEvent } from '../../domain/shown/spans.ts'
import { maxTraced } from '../../domain/shown/trace.ts'
import type { Lsn } from '../../domain/value/lsn.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import type { LogEvent } from '../../outbox/log/log.ts'
import type { Position } from '../../outbox/log/position.ts'
import { createNotes } from '../stream/notes.ts'
import type { EventIds } from './gather.ts'
import type { Truncations } from './truncations.ts'

/** One commit of the outbox. */
export type Stored = {
  readonly changes: number
  readonly events: number
  /** Truncated tables: their rows' ids are not in the WAL. */
  readonly truncated: readonly string[]
  readonly parked: readonly ParkedChange[]
  /** When the last of the source's transactions committed there. */
  readonly committedAt: Date
}

/** The events of one commit. */
export type AppendedEvents = {
  /** The newest earlier event of the log: there is none in between. */
  readonly previousEventId: TimeId
  readonly lastEventId: TimeId
  /** The newest version of the webhooks among them. */
  readonly webhooksVersion: number
  /** The events as they would be read; null: read them. */
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
  /** Null or absent: no tracing. */
  readonly trace?: TraceAppends | null | undefined
  /** Called after each commit of events, in order. */
  readonly onAppended?: ((appended: AppendedEvents) => void) | undefined
}

/** The progress of storing. */
export type Storing = StorerOptions & {
  readonly notes: ReturnType<typeof createNotes>
  /** The stored position. */
  commitLsn: Lsn
  /** The confirmable position of the appends since the last commit. */
  appendedLsn: Lsn
  newestEventId: TimeId
  /** The outbox transaction of a large source transaction; usually null. */
  client: PoolClient | null
  /** What that transaction has appended. */
  uncommitted: Omit<AppendedEvents, 'previousEventId'> | null
  /** The traces of events appended since the last commit; null: none. */
  traced: Tracing | null
  /** What was stored since the last `onStored`. */
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

/** Events have committed: notifies delivery in this process. */
export function reportAppended(storing: Storing, appended: Omit<AppendedEvents, 'previousEventId'>): void {
  storing.onAppended?.({ previousEventId: storing.newestEventId, ...appended })
  storing.newestEventId = appended.lastEventId
  const { trace, traced, nowMs } = storing
  if (trace && traced) trace.committed(traced.traced, { ...traced, endMs: nowMs() })
  storing.traced = null
}

/** Notes appended events, from `startMs` on, for tracing after the commit. Parked changes are no events. */
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
  noted.traced.push(...traced.filter(event => !isAside(event)).slice(0, maxTraced - noted.traced.length))
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
