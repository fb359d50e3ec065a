import type pg from 'pg'

/**
 * Makes the lanes of a webhook's waiting batches due with the lane of the batch's first event, where they are due later so
 * that nobody meets them before it. Locks in the order in which an append does.
 */
const freeFollowersStatement = `
with members as materialized (
  select batch_id, entity_type, entity_id, event_id from walhook.deliveries
  where webhook_id = $1 and batch_id is not null
), leaders as materialized (
  select m.batch_id, l.due_at
  from (select distinct on (batch_id) * from members order by batch_id, event_id) m
  join walhook.lanes l on l.webhook_id = $1 and l.entity_type = m.entity_type and l.entity_id = m.entity_id
), followers as materialized (
  select l.ctid, d.due_at
  from (
    select m.entity_type, m.entity_id, min(leaders.due_at) as due_at
    from members m join leaders using (batch_id)
    group by m.entity_type, m.entity_id
    order by m.entity_type collate "C", m.entity_id collate "C"
  ) d
  cross join lateral (
    select ctid, due_at from walhook.lanes
    where webhook_id = $1 and entity_type = d.entity_type and entity_id = d.entity_id and leased_until <= now()
    for update
  ) l
  where l.due_at > d.due_at
)
update walhook.lanes l set due_at = f.due_at from followers f where l.ctid = f.ctid`

/** For a webhook that wants no batches any more: each lane of one that waits goes by itself. */
export async function freeFollowers(client: pg.PoolClient, webhookId: number): Promise<void> {
  await client.query(freeFollowersStatement, [webhookId])
}

/** The same for those of some webhooks that want no batches any more, where a batch of theirs has just failed. */
export async function freeFollowersWithoutBatches(
  client: pg.PoolClient,
  webhookIds: readonly number[],
): Promise<void> {
  if (webhookIds.length === 0) return
  const { rows } = await client.query(
    'select id from walhook.webhooks where id = any($1) and batch_max_events is null order by id',
    [[...new Set(webhookIds)]],
  )
  for (const { id } of rows) await freeFollowers(client, id)
}
