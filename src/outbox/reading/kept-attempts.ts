import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'

/** How many attempts of a webhook the log always has, however old they are. */
const alwaysThere = 10

/** Of the last attempts of each webhook, those of days that end before $1. */
const lastAttemptsStatement = `
select w.id as webhook_id, last.id
from walhook.webhooks w
cross join lateral (
  select id from walhook.attempts where webhook_id = w.id order by id desc limit ${alwaysThere}
) last
where last.id < $1`

/** The columns of a row as they are, without what was sent and answered: that has had its time. */
const copyStatement = `
insert into walhook.kept_attempts
select (jsonb_populate_record(a, jsonb_build_object(
  'request_body', case when a.trigger = 'test' then '' end,
  'response_headers', null, 'response_body', null, 'has_bodies', false))).*
from unnest($1::int[], $2::bigint[]) as k (webhook_id, id)
join walhook.attempts a on a.webhook_id = k.webhook_id and a.id = k.id
on conflict (webhook_id, id) do nothing`

const webhooksAtOnce = 100

/**
 * Copies the attempts before the id `before` that are among the last ten of their webhook to where they outlive the log's
 * days: how they went, and not what was sent and answered.
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

/** Removes what is kept of webhooks that are gone, and what is not among the last ten any more. */
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
