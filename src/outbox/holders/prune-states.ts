import type { Outbox } from '../database/database.ts'

/**
 * The oldest event that is kept; where there is none, the version that an event which comes has at least. An event of before
 * the versions is judged by its time.
 */
const oldest = `
select e.id, case when e.id is null then p.webhooks_version else e.webhooks_version end as version,
       to_timestamp((e.id >> 20) / 1000.0) as at
from (select max(webhooks_version) as webhooks_version from walhook.positions) p
left join (select id, webhooks_version from walhook.events order by id limit 1) e on true`

/** What a webhook was before the state that holds for the oldest event is asked for by nothing. */
const statesStatement = `
with oldest as materialized (${oldest})
delete from walhook.webhook_states s
using oldest o
where case
  when o.version is not null then coalesce(s.version, -1) < (
    select max(version) from walhook.webhook_states where webhook_id = s.webhook_id and version <= o.version)
  else s.since < (select max(since) from walhook.webhook_states where webhook_id = s.webhook_id and since <= o.at)
end`

/** A range of which no event is left says nothing any more. Nor is any to come: a range ends at an event that was there. */
const skipsStatement = `
with oldest as materialized (${oldest})
delete from walhook.skips k using oldest o where o.id is null or k.up_to < o.id`

/** Removes what was noted of webhooks to judge events by, where no event is left that it could be about. */
export async function pruneStates(outbox: Pick<Outbox, 'pool'>): Promise<void> {
  await outbox.pool.query(statesStatement)
  await outbox.pool.query(skipsStatement)
}
