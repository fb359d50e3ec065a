import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { asHolder } from '../database/fence.ts'
import { fields } from '../database/fields.ts'
import { ofBatch, ofRow, type RowKey, rowOfS } from '../database/row-keys.ts'
import { rows, statement } from '../database/statement.ts'
import { wakeNext } from './aside.ts'

/** Whether row `d` is in flight, alone or in its batch. */
export const isTaken = (d: string) => `(
  ${d}.taken_by is not null or ${d}.batch_id is not null and exists (
    select 1 from walhook.batches where webhook_id = ${d}.webhook_id and id = ${d}.batch_id and taken_by is not null
  ))`

type TakenBatch = { readonly webhookId: number; readonly batchId: TimeId }

/** The rows of a holder by the tables, which has more than its memory if the answer to a commit was lost. */
export async function readTaken(
  outbox: Outbox,
  holderId: number,
): Promise<{ readonly taken: readonly RowKey[]; readonly batches: readonly TakenBatch[] }> {
  const [ofRows, ofBatches] = await Promise.all([
    outbox.pool.query({
      name: 'taken_rows',
      text: 'select webhook_id, entity_type, entity_id, event_id from walhook.deliveries where taken_by = $1',
      values: [holderId],
    }),
    outbox.pool.query({
      name: 'taken_batches',
      text: 'select webhook_id, id as batch_id from walhook.batches where taken_by = $1',
      values: [holderId],
    }),
  ])
  return {
    taken: ofRows.rows.map(fields<RowKey>),
    batches: ofBatches.rows.map(fields<TakenBatch>),
  }
}

const giveBackRows = statement(
  'give_back',
  { holderId: 'int', taken: rows<RowKey>(ofRow) },
  p => `
with given as materialized (
  select d.ctid
  from ${p.taken('s')}
  cross join ${rowOfS('ctid, taken_by')} d
  where d.taken_by = ${p.holderId}
)
update walhook.deliveries d set taken_by = null from given where d.ctid = given.ctid`,
)

const giveBackBatches = statement(
  'give_back_batches',
  { holderId: 'int', batches: rows<TakenBatch>(ofBatch) },
  p => `
with s as materialized (
  select b.ctid as row
  from ${p.batches('s')}
  cross join lateral (
    select ctid, taken_by from walhook.batches where webhook_id = s.webhook_id and id = s.batch_id limit 1
  ) b
  where b.taken_by = ${p.holderId}
)
update walhook.batches b set taken_by = null from s where b.ctid = s.row`,
)

/** Returns taken rows without sending them: they are due as before. */
export async function giveBack(
  outbox: Outbox,
  taken: { holderId: number; deliveries: readonly RowKey[]; batches?: readonly TakenBatch[] },
): Promise<void> {
  const { holderId, deliveries, batches = [] } = taken
  if (deliveries.length + batches.length === 0) return
  await asHolder(outbox, holderId, async client => {
    if (batches.length > 0) await giveBackBatches(client, { holderId, batches })
    if (deliveries.length > 0) await giveBackRows(client, { holderId, taken: deliveries })
    await wakeNext(client, deliveries)
  })
}
