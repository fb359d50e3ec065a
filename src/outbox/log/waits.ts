import { wants } from './wanted.ts'

/** The result of an event `e` at a webhook, as expressions over indexes. `offset 0` keeps them from becoming joins. */

/** Whether the webhook has received it, single or batched. Ids of attempts may be an hour behind those of events. */
export const isDelivered = (webhookId: string, e: string) => `(
  exists (
    select 1 from walhook.attempts
    where event_id = ${e}.id and webhook_id = ${webhookId} and outcome = 'delivered' and id >= ${e}.id - ${3_600_000n << 20n}
  ) or exists (
    select 1 from walhook.attempts
    where event_ids @> array[${e}.id] and webhook_id = ${webhookId} and outcome = 'delivered'
      and id >= ${e}.id - ${3_600_000n << 20n}
  ))`

export const isEnded = (webhookId: string, e: string) => `
exists (select 1 from walhook.ended_deliveries where webhook_id = ${webhookId} and event_id = ${e}.id offset 0)`

/** Whether a webhook's skip `k` includes the event `e`. */
export const isWithinSkip = (k: string, e: string, id = `${e}.id`) => `
  ${k}.after_id < ${id} and ${k}.up_to >= ${id}
  and (${k}.entity_type is null or (${k}.entity_type = ${e}.entity_type and ${k}.entity_id = ${e}.entity_id))`

/** Whether an admin cancelled it in the log. */
export const isSkipped = (webhookId: string, e: string, id = `${e}.id`, and = 'true') => `
exists (
  select 1 from walhook.skips k
  where k.webhook_id = ${webhookId} and ${isWithinSkip('k', e, id)} and ${and}
  offset 0
)`

export const isSetAside = (webhookId: string, e: string) => `
exists (
  select 1 from walhook.deliveries d
  where d.webhook_id = ${webhookId} and d.entity_type = ${e}.entity_type and d.entity_id = ${e}.entity_id and d.event_id = ${e}.id
  offset 0
)`

/** Records the end of the delivery rows `from`, replacing an earlier one. */
export const recordEnded = (state: 'cancelled' | 'dead', from: string) => `
insert into walhook.ended_deliveries (webhook_id, event_id, entity_type, entity_id, state, attempts)
select webhook_id, event_id, entity_type, entity_id, '${state}', attempts from ${from}
on conflict (webhook_id, event_id) do update
  set state = excluded.state, superseded_by = null, as_new = false, attempts = excluded.attempts,
      ended_at = excluded.ended_at`

/**
 * Whether the stream still has to send it, by the webhook's state `s`: `settled` is the stream's position, and up to
 * `maySend` it may be in flight. `skips` selects the skips that count.
 */
export const waitsInLog = (
  webhookId: string,
  { e, s, settled, maySend, skips }: Record<'e' | 's' | 'settled' | 'maySend', string> & { skips?: string },
) => `case
  when ${e}.id <= ${settled} or not ${wants(e, s)} then false
  when ${isSkipped(webhookId, e, `${e}.id`, skips)} then false
  when ${isEnded(webhookId, e)} then false
  when ${isSetAside(webhookId, e)} then false
  when ${e}.id <= ${maySend} and ${isDelivered(webhookId, e)} then false
  else true
end`

/**
 * A webhook's position in `share`: settled, and the end of what may have been sent. The arguments are expressions of the
 * caller, so the names in here are unique.
 */
export const positionIn = (webhookId: string, share: string) => `
select coalesce(its_own.settled_up_to, its_share.settled_up_to) as settled_up_to,
       greatest(coalesce(its_own.settled_up_to, its_share.settled_up_to),
                coalesce(its_own.may_send_up_to, its_holder.may_send_up_to, 0)) as may_send_up_to
from walhook.shares its_share
left join walhook.holders its_holder on its_holder.id = its_share.holder_id
left join walhook.streams its_own on its_own.webhook_id = ${webhookId} and its_own.share = its_share.share
where its_share.share = ${share}`

/** Its positions by share, as arrays from 1 on, and the lowest settled one. */
export const positionsOf = (webhookId: string) => `
select array_agg(p.settled_up_to order by m.share) as settled, array_agg(p.may_send_up_to order by m.share) as may_send,
       min(p.settled_up_to) as least
from walhook.shares m cross join lateral (${positionIn(webhookId, 'm.share')}) p`
