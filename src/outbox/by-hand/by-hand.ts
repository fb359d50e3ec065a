import type pg from 'pg'
import type { Entity } from '../../domain/event/entity.ts'
import { isTaken } from '../aside/taken.ts'
import { lockAllHolders } from '../database/fence.ts'
import { ofEntity, oldestOfS, rowsOfS } from '../database/row-keys.ts'
import { moment, now, rows, statement } from '../database/statement.ts'
import { wakeChannel } from '../log/append.ts'

/**
 * An admin's operation is one transaction, or page by page. It stops every holder meanwhile, so that nothing is taken,
 * settled or newly sent. Requests in flight continue; skips make the streams pass over pending events in the log.
 */

/** Whether a webhook may get deliveries; locks it against deletion. */
const lockWebhookStatement = `
select is_active and disabled_at is null as may_send, disabled_reason
from walhook.webhooks where id = $1 for key share`

/** Why nothing can be sent by hand. */
export type NotSending =
  | { readonly state: 'no_webhook' }
  | { readonly state: 'inactive'; readonly disabledReason: string | null }

/** Stops every holder, and returns whether the webhook may get deliveries. The first statement of a transaction. */
export async function lockToSend(
  client: pg.PoolClient,
  webhookId: number,
): Promise<{ readonly ok: true } | { readonly ok: false; readonly refusal: NotSending }> {
  await lockAllHolders(client)
  const { rows } = await client.query(lockWebhookStatement, [webhookId])
  if (!rows[0]) return { ok: false, refusal: { state: 'no_webhook' } }
  if (!rows[0].may_send)
    return { ok: false, refusal: { state: 'inactive', disabledReason: rows[0].disabled_reason } }
  return { ok: true }
}

/** Makes every delivering process check the webhook again after the commit. */
export async function notifyByHand(client: pg.ClientBase, webhookId: number): Promise<void> {
  await client.query(`select pg_notify('${wakeChannel}', $1)`, [`hand:${webhookId}`])
}

const entities = rows<Entity>(ofEntity)

/** When a share's row may be sent: now, unless a dead holder's request may be in flight. */
const soonest = (row: string) =>
  `greatest(${now}, (select wait_until from walhook.shares where share = ${row}.share))`

/**
 * Of the entities of changed rows, the oldest row becomes due if it is one of them, and the others wait behind it; behind a
 * request in flight, all wait. A batch with one of them becomes due. `offset 0` keeps lookups by key, whatever the
 * statistics.
 */
export const makeDue = statement(
  'by_hand_make_due',
  { webhookId: 'int', entities, changed: 'bigint[]' },
  p => `
with ${moment}, first as materialized (
  select s.*, o.*
  from ${p.entities('s')}
  cross join ${oldestOfS('ctid as row, event_id, batch_id, share', p.webhookId)} o
  where o.event_id = any(${p.changed}) and not exists (
    select 1 from walhook.deliveries d
    where d.webhook_id = ${p.webhookId} and d.entity_type = s.entity_type and d.entity_id = s.entity_id and ${isTaken('d')}
    offset 0
  )
), behind as materialized (
  select d.row
  from first s
  cross join ${rowsOfS('ctid as row', p.webhookId, `event_id > s.event_id and batch_id is null and due_at < 'infinity'`)} d
), batches as (
  update walhook.batches b set due_at = least(b.due_at, ${soonest('b')})
  where webhook_id = ${p.webhookId} and taken_by is null and id in (
    select d.batch_id
    from ${p.entities('s')}
    cross join ${rowsOfS('batch_id', p.webhookId, `event_id = any(${p.changed}) and batch_id is not null`)} d
  )
)
update walhook.deliveries d set due_at = changed.due_at
from (
  select row, ${soonest('first')} as due_at from first where batch_id is null
  union all
  select row, 'infinity' from behind
) changed
where d.ctid = changed.row`,
)
