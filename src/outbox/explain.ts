import type { ExplainFacts } from '../domain/explain.ts'
import { firstIdAt, timeOf } from '../domain/time-id.ts'
import type { Outbox } from './database.ts'
import type { EventLine } from './events.ts'

/**
 * The last attempt of an event, by itself or in a batch, also where it is kept beyond the log's time. $4 lets Postgres
 * pass over the days before the event.
 */
const tries = (which: string) => `
  select started_at + duration_ms * interval '1 ms' as at, number, outcome, error_message
  from (
    select * from walhook.attempts where event_id = $1 and webhook_id = w.id and id >= $4
    union all
    select * from walhook.attempts where event_ids @> array[$1::bigint] and webhook_id = w.id and id >= $4
    union all
    select * from walhook.kept_attempts where (event_id = $1 or event_ids @> array[$1::bigint]) and webhook_id = w.id
  ) a where ${which} order by id desc limit 1`

/**
 * What is known of an event ($1, of the entity $2 $3) and each webhook, a few index entries each.
 *
 * - s:      the webhook's settings when the event came ($5), where they were recorded
 * - d, l:   its delivery while it is in the queue, and the lane
 * - first:  what the lane sends first; where it is held, what was first when the lease began,
 *           and with it all of its batch
 */
const factsStatement = `
select w.id, w.name, w.is_active, w.disabled_at, w.disabled_reason, w.triggers, w.update_fields, w.created_at,
       s.since, s.is_active as then_is_active, s.disabled_reason as then_disabled_reason, s.triggers as then_triggers,
       s.update_fields as then_update_fields,
       d.attempts, l.due_at, l.is_held,
       case when l.is_held and d.batch_id = first.batch_id then d.event_id else first.event_id end as first_id,
       x.state as ended_state, x.superseded_by, x.attempts as ended_attempts, x.ended_at,
       last.at as last_at, last.number as last_number, last.outcome as last_outcome, last.error_message as last_error,
       accepted.at as accepted_at, accepted.number as accepted_number,
       clock_timestamp() as now
from walhook.webhooks w
left join lateral (
  select * from walhook.webhook_states where webhook_id = w.id and since < $5 order by since desc limit 1
) s on true
left join walhook.deliveries d on d.webhook_id = w.id and d.entity_type = $2 and d.entity_id = $3 and d.event_id = $1
left join lateral (
  select greatest(due_at, leased_until) as due_at, lease_id, leased_until > clock_timestamp() as is_held
  from walhook.lanes where webhook_id = d.webhook_id and entity_type = $2 and entity_id = $3
) l on true
left join lateral (
  select event_id, batch_id from walhook.deliveries o
  where o.webhook_id = d.webhook_id and o.entity_type = $2 and o.entity_id = $3
    and not (l.is_held and o.asked_during is not distinct from l.lease_id)
  order by event_id limit 1
) first on true
left join walhook.ended_deliveries x on x.webhook_id = w.id and x.event_id = $1
left join lateral (${tries('true')}) last on true
left join lateral (${tries(`outcome = 'delivered'`)}) accepted on true
where w.id = coalesce($6, w.id) and w.id > $8
order by w.id
limit $7`

const hourMs = 3_600_000

/** What is known of an event and each webhook, or one of them, by rising id after `after`. */
export async function readExplainFacts(
  outbox: Outbox,
  event: EventLine,
  which: { webhookId: number | null; after?: number; limit: number },
): Promise<{ webhookId: number; name: string; facts: ExplainFacts }[]> {
  const cameAtMs = timeOf(event.id)
  const { rows } = await outbox.pool.query(factsStatement, [
    event.id,
    event.entityType,
    event.entityId,
    // Ids of attempts are given by the database, whose clock may be behind.
    firstIdAt(cameAtMs - hourMs),
    new Date(cameAtMs + 1),
    which.webhookId,
    which.limit,
    which.after ?? 0,
  ])
  return rows.map(row => ({ webhookId: row.id, name: row.name, facts: toFacts(event, row) }))
}

// biome-ignore lint/suspicious/noExplicitAny: a row of the statement above
function toFacts(event: EventLine, row: any): ExplainFacts {
  return {
    event,
    webhook: {
      isActive: row.is_active,
      disabledAt: row.disabled_at,
      disabledReason: row.disabled_reason,
      triggers: row.triggers,
      updateFields: row.update_fields,
      createdAt: row.created_at,
    },
    stateThen: row.since && {
      isActive: row.then_is_active,
      disabledReason: row.then_disabled_reason,
      triggers: row.then_triggers,
      updateFields: row.then_update_fields,
    },
    waiting:
      row.attempts === null || row.due_at === null
        ? null
        : { attempts: row.attempts, dueAt: row.due_at, isHeld: row.is_held, first: row.first_id },
    ended: row.ended_state && {
      state: row.ended_state,
      supersededBy: row.superseded_by,
      attempts: row.ended_attempts,
      at: row.ended_at,
    },
    lastTry: row.last_at && {
      at: row.last_at,
      number: row.last_number,
      outcome: row.last_outcome,
      errorMessage: row.last_error,
    },
    accepted: row.accepted_at && {
      at: row.accepted_at,
      number: row.accepted_number,
      outcome: 'delivered',
      errorMessage: null,
    },
    now: row.now,
  }
}
