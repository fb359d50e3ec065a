import type { TestOutbox } from './open-outbox.ts'

/** `count` events that wait for a webhook as rows, of as many users; due now, or in `dueInMs`. */
export async function setAsideMany(
  at: TestOutbox,
  webhookId: number,
  count: number,
  { dueInMs = 0, ...filling }: { dueInMs?: number; fromEntity?: number } = {},
): Promise<{ first: bigint; last: bigint }> {
  const { first, last } = await at.fill(count, filling)
  await at.outbox.pool.query(
    `insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, due_at)
     select $1, share, entity_type, entity_id, id, now() + $4 * interval '1 ms'
     from walhook.events where id between $2 and $3`,
    [webhookId, first, last, dueInMs],
  )
  await setPosition(at, webhookId, last)
  return { first, last }
}

/** `count` events that wait for a webhook in the log, of as many users: its position is before them, and there is no row. */
export async function leaveBehind(
  at: TestOutbox,
  webhookId: number,
  count: number,
  filling: { fromEntity?: number } = {},
): Promise<{ first: bigint; last: bigint }> {
  await setPosition(at, webhookId, null)
  const filled = await at.fill(count, filling)
  await at.outbox.pool.query('update walhook.shares set settled_up_to = $1', [filled.last])
  return filled
}

/** Gives a webhook a position of its own in every share: at an event, or where the share's is. */
async function setPosition(at: TestOutbox, webhookId: number, id: bigint | null): Promise<void> {
  await at.outbox.pool.query(
    `insert into walhook.streams as o (webhook_id, share, settled_up_to, may_send_up_to)
     select $1, share, coalesce($2, settled_up_to), coalesce($2, settled_up_to) from walhook.shares
     on conflict (webhook_id, share) do update
       set settled_up_to = coalesce($2, o.settled_up_to), may_send_up_to = coalesce($2, o.may_send_up_to)`,
    [webhookId, id],
  )
}
