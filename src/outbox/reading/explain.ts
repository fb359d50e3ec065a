import type { ExplainFacts } from '../../domain/shown/explain-facts.ts'
import { firstIdAt, type TimeId, timeOf } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { waitsInLog } from '../log/waits.ts'
import { stateAt } from '../log/wanted.ts'
import { triesOf } from './attempt-lines.ts'
import type { EventLine } from './events.ts'

/** Each webhook's last attempt of an event, single or batched, including those kept beyond retention. $4 lets Postgres skip earlier days. */
const lastTries = (which: string) => `
  select distinct on (webhook_id) webhook_id, started_at + duration_ms * interval '1 ms' as at, number, outcome, error_message
  from tries where ${which} order by webhook_id, id desc`

/** When the request of delivery rows `o` is due, or its holder. */
const withBatch = `
select o.event_id, o.attempts, o.is_manual,
       coalesce(nullif(coalesce(b.due_at, o.due_at), 'infinity'), clock_timestamp()) as due_at,
       exists (
         select 1 from walhook.holders where id = coalesce(b.taken_by, o.taken_by) and alive_until > clock_timestamp()
       ) as is_held
from walhook.deliveries o
left join walhook.batches b on b.webhook_id = o.webhook_id and b.id = o.batch_id
where o.webhook_id = w.id and o.entity_type = $2 and o.entity_id = $3`

/** How many older events of an entity are searched for the one to be sent first. */
const olderLookedAt = 100

/**
 * The facts of an event ($1, of entity $2 $3) and each webhook, by a few index entries each.
 *
 * - tries: its attempts at all of them; last and accepted: each one's last, and last successful
 * - s: the webhook's settings by the event's version ($9), or when an older event came ($5)
 * - d: its row
 * - first: the entity's oldest row
 * - rival: the entity's row in flight, while an older one was requested by hand
 * - p: the webhook's position in the share ($10)
 * - tenants: the caller's tenant ($11), or none and the event's ($12, $13), unless one webhook is requested
 * - older: the entity's oldest pending event in the log before this one
 */
const factsStatement = `
with tries as materialized (
  select webhook_id, id, number, outcome, started_at, duration_ms, error_message
  from (${triesOf('$1', '$4', 'webhook_id = coalesce($6, webhook_id)')}) a
)
select w.name, w.id as webhook_id, w.tenant as webhook_tenant, w.is_active as webhook_is_active, w.disabled_at as webhook_disabled_at,
       w.disabled_reason as webhook_disabled_reason, w.triggers as webhook_triggers, w.update_fields as webhook_update_fields,
       w.filter as webhook_filter, w.filter_entering as webhook_filter_entering, w.filter_leaving as webhook_filter_leaving,
       w.created_at as webhook_created_at, w.held_until as webhook_held_until,
       (select min(since) from walhook.webhook_states where webhook_id = w.id) as webhook_known_since,
       s.since, s.is_active as then_is_active, s.disabled_reason as then_disabled_reason, s.triggers as then_triggers,
       s.update_fields as then_update_fields, s.filter as then_filter, s.filter_entering as then_filter_entering,
       s.filter_leaving as then_filter_leaving,
       d.attempts, d.is_held, d.due_at, first.event_id as first_id, first.due_at as first_due_at,
       first.is_held as first_is_held, rival.event_id as rival_id,
       p.holder_id, p.is_own_stream, p.settled_up_to < $1 as is_in_log, p.may_send_up_to >= $1 as may_send,
       older.id as older_id, skip.at as skipped_at,
       x.state as ended_state, x.superseded_by as ended_superseded_by, x.attempts as ended_attempts, x.ended_at,
       last.at as last_at, last.number as last_number, last.outcome as last_outcome, last.error_message as last_error_message,
       accepted.at as accepted_at, accepted.number as accepted_number, accepted.outcome as accepted_outcome,
       accepted.error_message as accepted_error_message,
       clock_timestamp() as now
from walhook.webhooks w
left join lateral (
  select * from walhook.webhook_states
  where webhook_id = w.id and case when $9::int is null then since < $5 else version <= $9 end
  order by case when $9::int is not null then version end desc, since desc limit 1
) s on true
left join lateral (${withBatch} and o.event_id = $1) d on true
left join lateral (${withBatch} order by o.event_id limit 1) first on true
left join lateral (
  select event_id from (${withBatch} and first.is_manual and not first.is_held and o.event_id > first.event_id) newer
  where is_held order by event_id limit 1
) rival on true
left join lateral (
  select h.id as holder_id, o.webhook_id is not null as is_own_stream,
         coalesce(o.settled_up_to, m.settled_up_to) as settled_up_to,
         case when h.id is not null then coalesce(o.may_send_up_to, h.may_send_up_to) end as may_send_up_to
  from walhook.shares m
  left join walhook.holders h on h.id = m.holder_id and h.alive_until > clock_timestamp()
  left join walhook.streams o on o.webhook_id = w.id and o.share = m.share
  where m.share = $10
) p on true
left join lateral (
  select e.id
  from (
    select * from walhook.events
    where entity_type = $2 and entity_id = $3 and id > p.settled_up_to and id < $1 and d.event_id is null
    order by id limit ${olderLookedAt}
  ) e
  left join lateral (${stateAt('w.id', 'e.webhooks_version')}) s on true
  where ${waitsInLog('w.id', { e: 'e', s: 's', settled: 'p.settled_up_to', maySend: '$1' })}
  order by e.id limit 1
) older on true
left join lateral (
  select at from walhook.skips
  where webhook_id = w.id and after_id < $1 and up_to >= $1
    and (entity_type is null or (entity_type = $2 and entity_id = $3))
  order by at limit 1
) skip on true
left join walhook.ended_deliveries x on x.webhook_id = w.id and x.event_id = $1
left join (${lastTries('true')}) last on last.webhook_id = w.id
left join (${lastTries(`outcome = 'delivered'`)}) accepted on accepted.webhook_id = w.id
where w.id = coalesce($6, w.id) and w.id > $8
  and case when $11::text is not null then w.tenant = $11
           else $6::int is not null or w.tenant is null or w.tenant in ($12, $13) end
order by w.id
limit $7`

const hourMs = 3_600_000

/** The facts of an event and each webhook, or one, in ascending order of id after `after`. */
export async function readExplainFacts(
  outbox: Outbox,
  event: EventLine,
  which: { webhookId: number | null; after?: number; limit: number; tenant: string | null },
): Promise<{ webhookId: number; name: string; facts: ExplainFacts }[]> {
  const cameAtMs = timeOf(event.id)
  const { rows: noted } = await outbox.pool.query(
    `select share, webhooks_version, only_webhook_id, case when has_filters then body end as body,
            case when has_filters then previous end as previous
     from walhook.events, (select exists (select 1 from walhook.webhook_states where filter is not null) as has_filters) f
     where id = $1`,
    [event.id],
  )
  const {
    share = null,
    webhooks_version: version = null,
    only_webhook_id: onlyId = null,
    body = null,
    previous = null,
  } = noted[0] ?? {}
  const { rows } = await outbox.pool.query(factsStatement, [
    event.id,
    event.entityType,
    event.entityId,
    // The database assigns attempt ids, and its clock may be behind.
    firstIdAt(cameAtMs - hourMs),
    new Date(cameAtMs + 1),
    which.webhookId,
    which.limit,
    which.after ?? 0,
    version,
    share,
    which.tenant,
    event.tenant,
    event.tenantBefore,
  ])
  const noticed = { ...event, body, previous, isVersioned: version !== null, onlyWebhookId: onlyId }
  return rows.map(row => ({ webhookId: row.webhook_id, name: row.name, facts: toFacts(noticed, row) }))
}

// biome-ignore lint/suspicious/noExplicitAny: a row of the statement above
function toFacts(event: ExplainFacts['event'], row: any): ExplainFacts {
  return {
    event,
    webhook: part(row, 'webhook_'),
    stateThen: row.since && part(row, 'then_'),
    waiting: row.attempts === null ? null : toWaiting(event.id, row),
    inLog: row.is_in_log && {
      holderId: row.holder_id,
      maySend: row.may_send === true,
      isOwnStream: row.is_own_stream,
      older: olderOf(event.id, row),
    },
    skippedAt: row.skipped_at,
    ended: row.ended_state && part(row, 'ended_'),
    lastTry: row.last_at && part(row, 'last_'),
    accepted: row.accepted_at && part(row, 'accepted_'),
    now: row.now,
  }
}

/** The columns with this prefix, as fields. */
function part<T>(row: object, prefix: string): T {
  const columns = Object.entries(row).filter(([name]) => name.startsWith(prefix))
  return fields(Object.fromEntries(columns.map(([name, value]) => [name.slice(prefix.length), value])))
}

/** Its own request, if it has one or is the entity's next; otherwise the request that blocks it. */
// biome-ignore lint/suspicious/noExplicitAny: a row of the statement above
function toWaiting(id: TimeId, row: any): ExplainFacts['waiting'] {
  const { attempts } = row
  if (row.is_held) return { attempts, dueAt: row.due_at, first: id, isHeld: true }
  if (row.rival_id) return { attempts, dueAt: row.now, first: row.rival_id, isHeld: true }
  return { attempts, dueAt: row.first_due_at, first: row.first_id, isHeld: row.first_is_held }
}

// biome-ignore lint/suspicious/noExplicitAny: a row of the statement above
function olderOf(id: TimeId, row: any): { eventId: TimeId; dueAt: Date | null } | null {
  if (row.first_id !== null && row.first_id < id)
    return { eventId: row.first_id, dueAt: row.first_is_held ? null : row.first_due_at }
  return row.older_id && { eventId: row.older_id, dueAt: null }
}
