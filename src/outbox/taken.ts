import type { TimeId } from '../domain/time-id.ts'
import type { Outbox } from './database.ts'
import { asHolder } from './fence.ts'
import { fields } from './fields.ts'
import { rows, statement } from './statement.ts'

/** A row that a holder has taken. */
export type TakenRow = {
  readonly webhookId: number
  readonly entityType: string
  readonly entityId: string
  readonly eventId: TimeId
}
export type TakenBatch = { readonly webhookId: number; readonly batchId: TimeId }

/** What the tables say that a holder has taken: more than it knows of where the answer to a commit was lost. */
export async function readTaken(
  outbox: Outbox,
  holderId: number,
): Promise<{ readonly taken: readonly TakenRow[]; readonly batches: readonly TakenBatch[] }> {
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
    taken: ofRows.rows.map(fields<TakenRow>),
    batches: ofBatches.rows.map(fields<TakenBatch>),
  }
}

const giveBackBatchesStatement = statement(
  'give_back_batches',
  {
    holderId: 'int',
    batches: rows<TakenBatch>({ webhook_id: ['int', of => of.webhookId], id: ['bigint', of => of.batchId] }),
  },
  p => `
with s as materialized (
  select b.ctid as row
  from ${p.batches('s')}
  cross join lateral (
    select ctid, taken_by from walhook.batches where webhook_id = s.webhook_id and id = s.id limit 1
  ) b
  where b.taken_by = ${p.holderId}
)
update walhook.batches b set taken_by = null from s where b.ctid = s.row`,
)

/** Gives back batches that were taken and not sent: they are due as before. */
export async function giveBackBatches(
  outbox: Outbox,
  { holderId, batches }: { holderId: number; batches: readonly TakenBatch[] },
): Promise<void> {
  if (batches.length === 0) return
  await asHolder(outbox, holderId, client => giveBackBatchesStatement(client, { holderId, batches }))
}
