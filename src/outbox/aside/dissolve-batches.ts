import type pg from 'pg'
import type { TimeId } from '../../domain/value/time-id.ts'
import { oldestOfS } from '../database/row-keys.ts'
import { statement } from '../database/statement.ts'

/**
 * Dissolves idle batches of webhooks without batching: each event becomes a single row, due when its batch was. A batch in
 * flight is dissolved when it has failed.
 */
const dissolve = statement(
  'dissolve_batches',
  { webhookIds: 'int[]' },
  p => `
with dissolved as (
  delete from walhook.batches b
  where webhook_id = any(${p.webhookIds}) and taken_by is null
    and (select batch_max_events is null from walhook.webhooks where id = b.webhook_id)
  returning webhook_id, id, due_at
), member as materialized (
  select s.ctid, case when s.event_id = oldest.event_id then dissolved.due_at else 'infinity' end as due_at
  from dissolved
  cross join lateral (
    select ctid, webhook_id, entity_type, entity_id, event_id from walhook.deliveries
    where webhook_id = dissolved.webhook_id and batch_id = dissolved.id
    offset 0
  ) s
  cross join ${oldestOfS('event_id')} oldest
)
update walhook.deliveries d set batch_id = null, due_at = member.due_at from member where d.ctid = member.ctid`,
)

/** Needs the lock of each holder of the rows. */
export async function dissolveBatches(client: pg.ClientBase, webhookIds: readonly number[]): Promise<void> {
  if (webhookIds.length > 0) await dissolve(client, { webhookIds: [...new Set(webhookIds)] })
}

const endEmptyBatchesStatement = `
delete from walhook.batches b
where webhook_id = any($1) and id = any($2) and taken_by is null and not exists (
  select 1 from walhook.deliveries where webhook_id = b.webhook_id and batch_id = b.id offset 0
)`

export async function endEmptyBatches(
  client: pg.ClientBase,
  webhookIds: readonly number[],
  ids: readonly TimeId[],
): Promise<void> {
  if (ids.length > 0) await client.query(endEmptyBatchesStatement, [webhookIds, ids])
}
