import type { Pool, PoolClient } from 'pg'
import type { ParkedChange, StoredEvent } from '../../domain/event/event.ts'
import type { TracedEvent } from '../../domain/shown/spans.ts'
import type { Lsn } from '../../domain/value/lsn.ts'
import { transaction } from '../../outbox/database/database.ts'
import { append } from '../../outbox/log/append.ts'
import { appendEach, isRefused } from '../../outbox/log/append-each.ts'
import { type EventColumns, eventColumnsOf } from '../../outbox/log/event-columns.ts'
import { toLogEvent } from '../../outbox/log/log.ts'
import type { Gathered } from './gather.ts'
import { inSavepoint, noteTraced, reportAppended, type Storing } from './storing.ts'

/** Appends events and moves the position: in the open transaction if there is one, otherwise in its own commit. */
export async function appendAll(
  storing: Storing,
  input: {
    to: Lsn
    /** The position that this commit permits to confirm; absent: unchanged. */
    confirmableLsn?: Lsn
    lastEventId: bigint
    readLsn: Lsn | null
    events: readonly StoredEvent[] | EventColumns
    /** The events themselves, if kept. */
    kept?: readonly StoredEvent[] | null
    traced?: readonly TracedEvent[]
    parked: readonly ParkedChange[]
  },
): Promise<void> {
  const { slotName, commitLsn, tally, notes } = storing
  const { to, kept = null, traced = [], confirmableLsn = notes.noted(), ...rest } = input
  const startMs = storing.trace ? storing.nowMs() : 0
  const position = { slotName, expected: commitLsn, commitLsn: to, confirmableLsn }
  const { webhooksVersion, setAside } = await appendOrEach(storing, { ...rest, ...position })
  storing.commitLsn = to
  storing.appendedLsn = confirmableLsn
  tally.parked.push(...setAside)
  tally.events -= setAside.length
  const count = 'add' in rest.events ? rest.events.count() : rest.events.length
  if (count === 0) return
  if (storing.trace) noteTraced(storing, startMs, { traced, events: count, setAside })
  const { lastEventId } = rest
  const isKept = kept !== null && setAside.length === 0
  if (storing.client) storing.uncommitted = { lastEventId, webhooksVersion, events: null }
  else
    reportAppended(storing, {
      lastEventId,
      webhooksVersion,
      events: isKept ? kept.map(event => toLogEvent(event, webhooksVersion, null)) : null,
    })
}

/** Appends all at once; if the outbox refuses, one by one, parking those that it refuses. */
async function appendOrEach(
  { client, outbox }: Storing,
  input: Parameters<typeof append>[1],
): Promise<{ webhooksVersion: number; setAside: readonly ParkedChange[] }> {
  try {
    const once = (db: Pool | PoolClient) => append(db, input)
    const { webhooksVersion } = await (client ? inSavepoint(client, once) : once(outbox.pool))
    return { webhooksVersion, setAside: [] }
  } catch (error) {
    if (!isRefused(error)) throw error
    const events = 'add' in input.events ? input.events : eventColumnsOf(input.events)
    const each = (tx: PoolClient) => appendEach(tx, { ...input, events })
    return client ? await each(client) : await transaction(outbox.pool, each)
  }
}

/** A `delete` of every entity of truncated tables, after the transaction's own events. */
export async function storeDeletions(
  storing: Storing,
  of: NonNullable<Gathered['last']>,
  indexFrom: number,
): Promise<void> {
  const { ids, truncations, client, tally, trace } = storing
  let index = indexFrom
  for await (const page of truncations.deletions(client!)) {
    const events = page.map(event => ({ ...event, ...of, index: index++, id: ids.next() }))
    const traced: TracedEvent[] = []
    if (trace) for (const event of events) trace.pick(traced, event)
    const lastEventId = ids.last()
    await appendAll(storing, { to: of.commitLsn, lastEventId, readLsn: null, events, traced, parked: [] })
    tally.events += events.length
  }
}
