import type pg from 'pg'
import { isAlertType } from '../../domain/event/alert.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { type Due, dueInMs, dues, setAside, wakeNext } from '../aside/aside.ts'
import type { Delivery, Shipment } from '../aside/shipment.ts'
import { newTimeIds } from '../database/new-ids.ts'
import { ofBatch, ofRow, rowOfS } from '../database/row-keys.ts'
import { moment, now, rows, statement } from '../database/statement.ts'
import { recordEnded } from '../log/waits.ts'
import type { EndedRow, MovedBatch, MovedRow, SettledRows } from './settled-rows.ts'

/** Only the holder changes its rows: each is where it was found. */
const itsRow = `left join ${rowOfS('ctid, taken_by, batch_id, attempts as tried')} d on true`

/**
 * Whether a row is as it was when sent: taken by the holder, alone or batched, with as many attempts. Otherwise it was
 * cancelled, or this settlement committed before without an answer, and the row was taken again.
 */
const isStillIts = (holderId: string) => `
case when s.from_batch is null then d.taken_by = ${holderId} else d.batch_id = s.from_batch end and d.tried = s.tried`

const ofAttempt = { ...ofRow, attempts: 'smallint', tried: 'smallint', fromBatch: 'bigint' } as const

type Member = Delivery & { readonly batchId: TimeId }

/** The remaining events of batches; `is_held`: the holder still has the batch. */
const heldMembersStatement = statement(
  'held_members',
  { holderId: 'int', members: rows<Member>({ ...ofRow, ...ofBatch }) },
  p => `
select s.webhook_id, s.batch_id, s.event_id, d.batch_id is not distinct from s.batch_id as is_left
from ${p.members('s')}
cross join lateral (
  select taken_by from walhook.batches where webhook_id = s.webhook_id and id = s.batch_id limit 1
) b
${itsRow}
where b.taken_by = ${p.holderId}`,
)

export async function readHeldBatches(
  client: pg.ClientBase,
  holderId: number,
  settlements: readonly { readonly shipment: Shipment; readonly next: { readonly state: string } }[],
): Promise<{ membersOf: (shipment: Shipment) => ReadonlySet<TimeId> | null; newIds: readonly TimeId[] }> {
  const sent = settlements.flatMap(({ shipment: { batchId, deliveries } }) =>
    batchId === null ? [] : deliveries.map(delivery => ({ ...delivery, batchId })),
  )
  if (sent.length === 0) return { membersOf: () => null, newIds: [] }
  const count = 2 * settlements.filter(({ next }) => next.state === 'split').length
  const [held, ids] = await Promise.all([
    heldMembersStatement(client, { holderId, members: sent }),
    newTimeIds(client, count),
  ])
  const members = new Map<string, Set<TimeId>>()
  for (const { webhook_id, batch_id, event_id, is_left } of held.rows) {
    const batch = `${webhook_id} ${batch_id}`
    if (!members.has(batch)) members.set(batch, new Set())
    if (is_left) members.get(batch)!.add(event_id)
  }
  return {
    membersOf: ({ webhookId, batchId }) => members.get(`${webhookId} ${batchId}`) ?? null,
    newIds: ids,
  }
}

const deleteStatement = statement(
  'delete_rows',
  { holderId: 'int', ended: rows<EndedRow>(ofAttempt) },
  p => `
with s as materialized (
  select d.ctid as row
  from ${p.ended('s')}
  ${itsRow}
  where ${isStillIts(p.holderId)}
)
delete from walhook.deliveries d using s where d.ctid = s.row
returning d.webhook_id, d.event_id`,
)

const recordDead = statement('record_dead', { dead: rows<EndedRow>({ ...ofRow, attempts: 'smallint' }) }, p =>
  recordEnded('dead', p.dead('s')),
)

/** Those that are dead: without a row, or with one that was still the holder's, and is deleted. */
function deadOf(
  ended: readonly EndedRow[],
  deleted: readonly { readonly webhook_id: number; readonly event_id: TimeId }[],
): EndedRow[] {
  const wasIts = new Set(deleted.map(row => `${row.webhook_id} ${row.event_id}`))
  return ended.filter(
    ({ state, isRow, webhookId, eventId }) =>
      state === 'dead' && (!isRow || wasIts.has(`${webhookId} ${eventId}`)),
  )
}

const moveStatement = statement(
  'move_rows',
  {
    holderId: 'int',
    moved: rows<MovedRow>({ ...ofAttempt, asNew: 'boolean', batchId: 'bigint', dueInMs: 'float8' }),
  },
  p => `
with ${moment}, s as materialized (
  select s.*, d.ctid as row, coalesce(${now} + s.due_in_ms * interval '1 ms', 'infinity') as due_at
  from ${p.moved('s')}
  ${itsRow}
  where ${isStillIts(p.holderId)}
)
update walhook.deliveries d
set attempts = s.attempts, as_new = s.as_new, batch_id = s.batch_id, taken_by = null, due_at = s.due_at
from s
where d.ctid = s.row
returning d.webhook_id, ${dueInMs('d.due_at', now)} as due_in_ms`,
)

const endBatchesStatement = statement(
  'end_batches',
  { batches: rows<MovedBatch>(ofBatch) },
  p => `
with s as materialized (
  select b.ctid as row
  from ${p.batches('s')}
  cross join lateral (
    select ctid from walhook.batches where webhook_id = s.webhook_id and id = s.batch_id limit 1
  ) b
)
delete from walhook.batches b using s where b.ctid = s.row`,
)

/** New batches are inserted, failed ones released. */
const releaseBatchesStatement = statement(
  'release_batches',
  { batches: rows<MovedBatch>({ ...ofBatch, share: 'smallint', dueInMs: 'float8' }) },
  p => `
with ${moment}, s as materialized (
  select s.*, ${now} + s.due_in_ms * interval '1 ms' as due_at from ${p.batches('s')}
), released as (
  insert into walhook.batches (webhook_id, id, share, due_at)
  select webhook_id, batch_id, share, due_at from s
  on conflict (webhook_id, id) do update set due_at = excluded.due_at, taken_by = null
  returning webhook_id, due_at
)
select webhook_id, ${dueInMs('due_at', now)} as due_in_ms from released`,
)

/** Dead deliveries of the application's events; a dead alert causes no alert. */
const countDead = (dead: readonly EndedRow[]): ReadonlyMap<number, number> =>
  new Map(
    [
      ...Map.groupBy(
        dead.filter(({ entityType }) => !isAlertType(entityType)),
        ({ webhookId }) => webhookId,
      ),
    ].map(([webhookId, its]) => [webhookId, its.length]),
  )

/**
 * Writes the results of shipments, in a transaction with the holder's lock. Returns when the rest is due, and the dead
 * deliveries by webhook.
 */
export async function settleRows(
  client: pg.ClientBase,
  holderId: number,
  what: SettledRows,
): Promise<{ readonly left: Due[]; readonly dead: ReadonlyMap<number, number> }> {
  const { ended, moved, aside, batches } = what
  const endedBatches = batches.filter(({ dueInMs }) => dueInMs === null)
  const released = batches.filter(({ dueInMs }) => dueInMs !== null)
  const itsRows = ended.filter(({ isRow }) => isRow)
  const [deletedRows, movedRows, releasedBatches, , set, woken] = await Promise.all([
    itsRows.length > 0 ? deleteStatement(client, { holderId, ended: itsRows }) : null,
    moved.length > 0 ? moveStatement(client, { holderId, moved }) : null,
    released.length > 0 ? releaseBatchesStatement(client, { batches: released }) : null,
    endedBatches.length > 0 && endBatchesStatement(client, { batches: endedBatches }),
    setAside(client, aside),
    // For retries too: an older row may have been requested by hand meanwhile.
    wakeNext(client, [...itsRows, ...moved]),
  ])
  // After all of them: if one fails, nothing more is sent to the aborted transaction.
  const dead = deadOf(ended, deletedRows?.rows ?? [])
  if (dead.length > 0) await recordDead(client, { dead })
  return {
    left: [...dues(movedRows?.rows ?? []), ...dues(releasedBatches?.rows ?? []), ...set, ...woken],
    dead: countDead(dead),
  }
}
