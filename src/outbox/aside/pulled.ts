import { positionIn, waitsInLog } from '../log/waits.ts'
import { stateAt } from '../log/wanted.ts'

/**
 * The events of entity `k` that a webhook's stream may still send, between its position `k.settled_up_to` and `k.up_to`:
 * wanted, and neither delivered, ended, cancelled nor rows. The oldest first.
 */
export const openInStream = (webhookId: string, k: string, max: string) => `
select e.id
from (
  select * from walhook.events
  where entity_id = ${k}.entity_id and entity_type = ${k}.entity_type and id > ${k}.settled_up_to and id <= ${k}.up_to
  order by id limit ${max}
) e
cross join lateral (${stateAt(webhookId, 'e.webhooks_version')}) s
where ${waitsInLog(webhookId, { e: 'e', s: 's', settled: `${k}.settled_up_to`, maySend: `${k}.up_to` })}
order by e.id`

/**
 * A CTE: rows requested by hand (with a skip of their entity in the log) before the stream has sent an older event of the
 * entity. They wait for the stream, which knows its position.
 */
export const waitingForStream = (webhookId: string) => `
waiting_for_stream as materialized (
  select k.entity_type, k.entity_id, k.after_id, k.up_to
  from (
    select * from walhook.skips
    where webhook_id = ${webhookId} and entity_type is not null and after_id > (
      select least(min(m.settled_up_to), min(o.settled_up_to))
      from walhook.shares m left join walhook.streams o on o.webhook_id = ${webhookId} and o.share = m.share
    )
  ) k
  cross join lateral (${positionIn(webhookId, 'walhook.share_of(k.entity_type, k.entity_id)')}) p
  cross join lateral (
    select k.entity_type, k.entity_id, p.settled_up_to, k.after_id as up_to where k.after_id > p.settled_up_to
  ) older
  where exists (${openInStream(webhookId, 'older', 'all')} limit 1)
)`

/** Whether row `d` is one of those. */
export const waitsForStream = (d: string) => `
exists (
  select 1 from waiting_for_stream w
  where w.entity_type = ${d}.entity_type and w.entity_id = ${d}.entity_id and ${d}.event_id > w.after_id and ${d}.event_id <= w.up_to
  offset 0
)`

/** The interval of checking them again. */
export const waitForStreamMs = 50
