import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'

/** The number of a webhook's attempts that are always kept. */
const alwaysThere = 10

/** The last attempts of each webhook, from days that end before $1. */
const lastAttemptsStatement = `
select w.id as webhook_id, last.id
from walhook.webhooks w
cross join lateral (
  select id from walhook.attempts where webhook_id = w.id order by id desc limit ${alwaysThere}
) last
where last.id < $1`

/** The columns of a row, without the expired bodies. */
const copyStatement = `
with a as materialized (
  select (jsonb_populate_record(a, jsonb_build_object(
    'request_body', case when a.trigger = 'test' then '' end,
    'response_headers', null, 'response_body', null, 'has_bodies', false))).*
  from unnest($1::int[], $2::bigint[]) as k (webhook_id, id)
  join walhook.attempts a on a.webhook_id = k.webhook_id and a.id = k.id
)
insert into walhook.kept_attempts select * from a
on conflict (webhook_id, id) do nothing`

const webhooksAtOnce = 100

/**
 * Copies attempts before the id `before` that are among their webhook's last ten to a table without retention, without
 * bodies.
 */
export async function keepLastAttempts(outbox: Outbox, before: TimeId): Promise<void> {
  const { rows } = await outbox.pool.query<{ webhook_id: number; id: TimeId }>(lastAttemptsStatement, [
    before,
  ])
  for (let from = 0; from < rows.length; from += webhooksAtOnce * alwaysThere) {
    const some = rows.slice(from, from + webhooksAtOnce * alwaysThere)
    await outbox.pool.query(copyStatement, [some.map(row => row.webhook_id), some.map(row => row.id)])
  }
}

/** Deletes kept attempts of deleted webhooks, and those beyond the last ten. */
export async function pruneKeptAttempts(outbox: Outbox): Promise<void> {
  await outbox.pool.query(`
    delete from walhook.kept_attempts k
    where not exists (select 1 from walhook.webhooks w where w.id = k.webhook_id)
      or (
        select count(*) from (
          select id from walhook.attempts a where a.webhook_id = k.webhook_id and a.id > k.id limit ${alwaysThere}
        ) newer
      ) + (
        select count(*) from walhook.kept_attempts o where o.webhook_id = k.webhook_id and o.id > k.id
      ) >= ${alwaysThere}`)
}
