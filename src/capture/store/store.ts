import type { Lsn } from '../../domain/value/lsn.ts'
import { PositionMoved } from '../../outbox/log/append.ts'
import { noteConfirmed } from '../../outbox/log/position.ts'
import { appendAll, storeDeletions } from './append-gathered.ts'
import type { Gathered } from './gather.ts'
import { storePage } from './store-page.ts'
import { emptyTally, reportAppended, type Storing } from './storing.ts'

/** Appends the gathered batches in one commit, and confirms it to the server afterwards. */
export async function store(storing: Storing, gathered: Gathered): Promise<void> {
  const { events, kept, traced, parked, last, lastEventId, readLsn, confirmLsn, probe, page, deletionsFrom } =
    gathered
  count(storing, gathered)
  if (last && (confirmLsn === null || deletionsFrom !== null)) await begin(storing)
  if (last && (storing.client || events.count() + parked.length > 0))
    await appendAll(storing, {
      to: last.commitLsn,
      ...(confirmLsn !== null && { confirmableLsn: confirmLsn }),
      lastEventId,
      readLsn,
      events,
      kept,
      traced,
      parked,
    })
  if (last && deletionsFrom !== null) await storeDeletions(storing, last, deletionsFrom)
  if (confirmLsn === null) return
  await commit(storing)
  storing.notes.ride(storing.appendedLsn)
  if (page) await storePage(storing, page, confirmLsn)
  await confirm(storing, confirmLsn)
  const { tally } = storing
  if (tally.changes + tally.events > 0) storing.onStored(tally)
  if (probe !== null) storing.onProbe(probe)
  storing.tally = emptyTally()
}

/** Uncommitted chunks have moved the position only in their own transaction: a note would not find it. */
export async function noteLast(storing: Storing): Promise<void> {
  const reached = storing.notes.reached()
  if (storing.client || reached <= storing.notes.noted()) return
  await note(storing, reached)
  storing.confirm(reached)
}

/** Closes the connection, and rolls back. */
export function abandon(storing: Storing): void {
  storing.client?.release(true)
  storing.client = null
  storing.traced = null
}

async function begin(storing: Storing): Promise<void> {
  if (storing.client) return
  storing.client = await storing.outbox.pool.connect()
  await storing.client.query('begin')
}

async function commit(storing: Storing): Promise<void> {
  if (!storing.client) return
  await storing.client.query('commit')
  storing.client.release()
  storing.client = null
  if (storing.uncommitted) reportAppended(storing, storing.uncommitted)
  storing.uncommitted = null
}

async function note(storing: Storing, lsn: Lsn): Promise<void> {
  const { outbox, slotName, commitLsn, notes } = storing
  if (!(await noteConfirmed(outbox, slotName, { commitLsn, confirmedLsn: lsn })))
    throw new PositionMoved(slotName, commitLsn)
  notes.add(lsn)
}

/** Confirms a recorded position; otherwise records it first, if due. */
async function confirm(storing: Storing, lsn: Lsn): Promise<void> {
  if (storing.notes.isDue(lsn)) await note(storing, lsn)
  if (lsn <= storing.notes.noted()) storing.confirm(lsn)
}

function count({ tally }: Storing, { events, parked, changes, truncated, last }: Gathered): void {
  tally.truncated.push(...truncated)
  tally.parked.push(...parked)
  tally.changes += changes
  tally.events += events.count()
  if (last) tally.committedAt = last.committedAt
}
