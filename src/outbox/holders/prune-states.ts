import type { Outbox } from '../database/database.ts'

/** The oldest stored event, or the lowest version of a future one. Events from before versions are pruned by their time. */
const oldest = `
select e.id, case when e.id is null then p.webhooks_version else e.webhooks_version end as version,
       to_timestamp((e.id >> 20) / 1000.0) as at
from (select max(webhooks_version) as webhooks_version from walhook.positions) p
left join (select id, webhooks_version from walhook.events order by id limit 1) e on true`

/** States before the one valid at the oldest event are unused. */
const statesStatement = `
with oldest as materialized (${oldest})
delete from walhook.webhook_states s
using oldest o
where case
  when o.version is not null then coalesce(s.version, -1) < (
    select max(version) from walhook.webhook_states where webhook_id = s.webhook_id and version <= o.version)
  else s.since < (select max(since) from walhook.webhook_states where webhook_id = s.webhook_id and since <= o.at)
end`

/** A skipped range without events is unused: it ends at an existing event, so none will come. */
const skipsStatement = `
with oldest as materialized (${oldest})
delete from walhook.skips k using oldest o where o.id is null or k.up_to < o.id`

/** Deletes webhook states and skips that no stored event needs. */
export async function pruneStates(outbox: Pick<Outbox, 'pool'>): Promise<void> {
  await outbox.pool.query(statesStatement)
  await outbox.pool.query(skipsStatement)
}
