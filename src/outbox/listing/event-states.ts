import type pg from 'pg'
import { type DeliveryCounts, type DeliveryState, noDeliveries } from '../../domain/event/event-state.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { statement } from '../database/statement.ts'
import { isWithinSkip, waitsInLog } from '../log/waits.ts'
import { isOfTenant, stateAt, wantedColumns, wants } from '../log/wanted.ts'

/** The maximum of webhooks without a tenant, or of the asking tenant; the oldest count. */
const maxWebhooks = 1_000
/** The maximum of webhooks of all the events' tenants. */
const maxOfTenants = 5_000

/** The database assigns attempt ids, and its clock may be behind. */
const hour = 3_600_000n << 20n

const settledUpTo = 'coalesce(o.settled_up_to, m.settled_up_to)'
const attempts = `webhook_id, started_at + duration_ms * interval '1 ms' as at`

/** The events of the webhooks `w`, in the log beyond their positions, or cancelled there; `lags`: with positions of its own. */
const inLog = `
with_lags as materialized (
  select w.*, exists (select 1 from walhook.streams where webhook_id = w.id offset 0) as lags from w
), pairs as (
  select e.*, w.id as webhook_id, ${settledUpTo} as settled_up_to,
    greatest(${settledUpTo}, coalesce(o.may_send_up_to, h.may_send_up_to, 0)) as may_send_up_to
  from e
  join walhook.shares m on m.share = e.share
  left join walhook.holders h on h.id = m.holder_id
  join with_lags w on (e.id > m.settled_up_to or w.lags) and ${isOfTenant('e', 'w')}
  left join walhook.streams o on o.webhook_id = w.id and o.share = m.share
  where e.id > ${settledUpTo}
  offset 0
), skipped as (
  select distinct e.id, w.id as webhook_id
  from w
  join walhook.skips k on k.webhook_id = w.id
  join e on ${isWithinSkip('k', 'e')} and ${isOfTenant('e', 'w')}
), `

const foundInLog = `
  union all
  select p.id, p.webhook_id, 'in_log', '-infinity'
  from pairs p
  cross join lateral (${stateAt('p.webhook_id', 'p.webhooks_version')}) s
  where ${waitsInLog('p.webhook_id', { e: 'p', s: 's', settled: 'p.settled_up_to', maySend: 'p.may_send_up_to' })}
  union all
  select e.id, k.webhook_id, 'cancelled', '-infinity'
  from skipped k
  join e on e.id = k.id
  cross join lateral (${stateAt('k.webhook_id', 'e.webhooks_version')}) s
  where ${wants('e', 's')}`

/**
 * How many webhooks have each event in each state: a tenant's webhooks, or (null) those without a tenant and of the event's
 * tenant. `least` and `max` bound the ids, so that Postgres skips other days.
 *
 * - e, w: the events, and their possible webhooks
 * - accepted: by an attempt, single or batched, also beyond the log's retention; `case` prevents a join
 * - ended: dead, cancelled or superseded; a later success counts as delivered
 * - aside: a row: pending, or retrying after an attempt
 * - pairs, skipped: in the log (`inLog`). Seldom needed, and expensive to plan
 */
const statesOfEvents = (name: string, log: { with: string; found: string }) =>
  statement(
    name,
    { ids: 'bigint[]', tenant: 'text', least: 'bigint', max: 'bigint' },
    p => `
with e as materialized (
  select ${wantedColumns} from walhook.events where id = any(${p.ids})
), w as materialized (
  (select id, tenant from walhook.webhooks where ${p.tenant} is null and tenant is null order by id limit ${maxWebhooks})
  union all
  (select id, tenant from walhook.webhooks where tenant = ${p.tenant} order by id limit ${maxWebhooks})
  union all
  (select id, tenant from walhook.webhooks
   where ${p.tenant} is null and tenant = any(array(select tenant from e union select tenant_before from e))
   order by id limit ${maxOfTenants})
), ${log.with} accepted as (
  select event_id as id, ${attempts} from walhook.attempts
  where event_id = any(${p.ids}) and outcome = 'delivered' and id >= ${p.least} - ${hour}
  union all
  select unnest(event_ids), ${attempts} from walhook.attempts
  where event_ids && ${p.ids} and outcome = 'delivered' and id >= ${p.least} - ${hour}
  union all
  select unnest(coalesce(event_ids, array[event_id])), ${attempts} from walhook.kept_attempts
  where outcome = 'delivered' and (event_id = any(${p.ids}) or event_ids && ${p.ids})
), found as (
  select id, webhook_id, 'delivered' as kind, at from accepted
  where case when webhook_id in (select id from w) then true else false end
  union all
  select x.event_id, w.id, x.state, x.ended_at
  from w
  cross join lateral (
    select 1 from walhook.ended_deliveries where webhook_id = w.id and event_id between ${p.least} and ${p.max} limit 1
  ) has_any
  cross join lateral (
    select event_id, state, ended_at from walhook.ended_deliveries
    where webhook_id = w.id and event_id between ${p.least} and ${p.max} and event_id = any(${p.ids})
    offset 0
  ) x
  union all
  select d.event_id, w.id, case when d.attempts > 0 then 'retrying' else 'pending' end, null
  from w
  cross join lateral (
    select 1 from walhook.deliveries where webhook_id = w.id
    order by webhook_id, entity_type, entity_id, event_id limit 1
  ) has_any
  cross join lateral (
    select event_id, attempts from walhook.deliveries
    where webhook_id = w.id and entity_type = any(array(select entity_type from e)) and entity_id = any(array(select entity_id from e))
      and event_id between ${p.least} and ${p.max}
    offset 0
  ) d
  ${log.found}
), settled as (
  select id, webhook_id,
    case when bool_or(kind = 'retrying') then 'retrying'
         when bool_or(kind = 'pending') then 'pending'
         else (array_agg(case kind when 'in_log' then 'pending' else kind end order by at desc, kind = 'delivered'))[1] end as state
  from found where id = any(${p.ids}) group by id, webhook_id
)
select id, state, count(*)::int as count from settled group by id, state`,
  )

const settledStates = statesOfEvents('states_of_events', { with: '', found: '' })
const allStates = statesOfEvents('states_of_events_in_log', { with: inLog, found: foundInLog })

/** Whether a webhook's position, or a cancellation in the log, may decide the state of an event in a range. */
const mayBeInLog = statement(
  'may_be_in_log',
  { tenant: 'text', least: 'bigint', max: 'bigint' },
  p => `
select exists (select 1 from walhook.shares where settled_up_to < ${p.max})
  or exists (
    select 1 from walhook.streams s join walhook.webhooks w on w.id = s.webhook_id
    where s.settled_up_to < ${p.max} and (${p.tenant} is null or w.tenant = ${p.tenant}))
  or exists (
    select 1 from walhook.skips k join walhook.webhooks w on w.id = k.webhook_id
    where k.after_id < ${p.max} and k.up_to >= ${p.least} and (${p.tenant} is null or w.tenant = ${p.tenant})) as may_be`,
)

/** The states of these events' deliveries, at a tenant's webhooks or all (null). */
export async function readEventStates(
  client: pg.ClientBase,
  ids: readonly TimeId[],
  tenant: string | null,
): Promise<Map<TimeId, DeliveryCounts>> {
  const counts = new Map<TimeId, Record<DeliveryState, number>>(ids.map(id => [id, { ...noDeliveries }]))
  if (ids.length === 0) return counts
  const sorted = ids.toSorted((a, b) => (a < b ? -1 : 1))
  const [least, max] = [sorted[0]!, sorted.at(-1)!]
  const within = { tenant, least, max }
  const isInLog = (await mayBeInLog(client, within)).rows[0].may_be
  const { rows } = await (isInLog ? allStates : settledStates)(client, { ...within, ids })
  for (const { id, state, count } of rows) {
    const of = counts.get(id)
    if (of) of[state as DeliveryState] = count
  }
  return counts
}

/** The number of webhooks per event, without those of single events' tenants. */
export async function countWebhooks(client: pg.ClientBase, tenant: string | null): Promise<number> {
  const { rows } = await client.query(
    `select count(*)::int as count from (
       select 1 from walhook.webhooks where case when $1::text is null then tenant is null else tenant = $1 end limit ${maxWebhooks}
     ) w`,
    [tenant],
  )
  return rows[0].count
}
