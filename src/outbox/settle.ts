import type pg from 'pg'
import type { Attempt } from '../domain/attempt.ts'
import type { Next } from '../domain/retry.ts'
import { insertAttempts } from './attempts.ts'
import type { ClaimedLane } from './claim.ts'
import { type Outbox, transaction } from './database.ts'
import { type Disabled, lockHealth, saveHealth, type WebhookNews } from './health.ts'

/** An attempt that has ended, and what the delivery becomes. */
export type Settlement = {
  readonly lane: ClaimedLane
  readonly attempt: Attempt
  readonly next: Next
  /** Not null: the receiver wants nothing more (410), and this becomes the webhook's `disabled_reason`. */
  readonly disable: string | null
  /** It failed, and the webhook has delivered nothing lately. */
  readonly isFailing: boolean
  /** The event has waited for longer than all retries take. */
  readonly isOverdue: boolean
  /** For how long the receiver wants nothing more, in ms; 0: it said nothing. */
  readonly holdMs: number
}

/**
 * Locks the lanes that are still leased to the settlements' holder, in the order in which an append locks them.
 * The statements after this one see every delivery that was appended to these lanes before.
 */
const lockHeldLanesStatement = `
select l.webhook_id, l.entity_type, l.entity_id, l.lease
from walhook.lanes l
join unnest($1::int[], $2::text[], $3::text[], $4::uuid[]) as s (webhook_id, entity_type, entity_id, lease)
  on l.webhook_id = s.webhook_id and l.entity_type = s.entity_type and l.entity_id = s.entity_id
  and l.lease = s.lease
order by l.webhook_id, l.entity_type, l.entity_id
for update of l`

/**
 * Moves the deliveries of held lanes on, and their lanes with them.
 *
 * - finished:  delivered or dead: it leaves the queue; a dead one is kept aside.
 * - failed:    counts the attempt.
 * - emptied:   a lane without another delivery ends.
 * - the rest is given back: due when its oldest delivery is, at once after a finished one, or where an older one was
 *   put before a failed one by hand meanwhile.
 */
const settleHeldLanesStatement = `
with s as (
  select * from unnest($1::int[], $2::text[], $3::text[], $4::bigint[], $5::smallint[], $6::text[], $7::float8[])
    as s (webhook_id, entity_type, entity_id, event_id, attempts, state, wait_ms)
), finished as (
  delete from walhook.deliveries d using s
  where s.state in ('done', 'dead')
    and d.webhook_id = s.webhook_id and d.entity_type = s.entity_type and d.entity_id = s.entity_id
    and d.event_id = s.event_id
), buried as (
  insert into walhook.ended_deliveries (webhook_id, event_id, entity_type, entity_id, state, attempts)
  select webhook_id, event_id, entity_type, entity_id, 'dead', attempts from s where state = 'dead'
  on conflict (webhook_id, event_id)
    do update set state = 'dead', superseded_by = null, attempts = excluded.attempts, ended_at = now()
), failed as (
  update walhook.deliveries d set attempts = s.attempts from s
  where s.state = 'retry'
    and d.webhook_id = s.webhook_id and d.entity_type = s.entity_type and d.entity_id = s.entity_id
    and d.event_id = s.event_id
), lane_work as (
  select s.*, s.state = 'retry' or exists (
    select from walhook.deliveries d
    where d.webhook_id = s.webhook_id and d.entity_type = s.entity_type and d.entity_id = s.entity_id
      and d.event_id <> s.event_id
  ) as has_work, s.state = 'retry' and exists (
    select from walhook.deliveries d
    where d.webhook_id = s.webhook_id and d.entity_type = s.entity_type and d.entity_id = s.entity_id
      and d.event_id < s.event_id
  ) as is_behind
  from s
), emptied as (
  delete from walhook.lanes l using lane_work s
  where not s.has_work
    and l.webhook_id = s.webhook_id and l.entity_type = s.entity_type and l.entity_id = s.entity_id
)
update walhook.lanes l
set lease = null, due_at = clock_timestamp() + case when s.is_behind then 0 else s.wait_ms end * interval '1 ms'
from lane_work s
where s.has_work
  and l.webhook_id = s.webhook_id and l.entity_type = s.entity_type and l.entity_id = s.entity_id`

/**
 * Settles attempts of any webhooks, each lane at most once in a call: the log, the deliveries, the lanes and the
 * webhooks' health change in one commit. An attempt whose lease has gone to another process is logged and changes
 * nothing else. Returns the settlements that held their lease; `onDisabled` hears of webhooks that this disabled.
 */
export async function settle(
  outbox: Outbox,
  settlements: readonly Settlement[],
  onDisabled: (disabled: Disabled) => void = () => {},
): Promise<Settlement[]> {
  const { held, disabled } = await transaction(outbox.pool, async client => {
    const health = await lockHealth(client, settlements.map(newsOf))
    const held = await lockHeldLanes(client, settlements)
    await insertAttempts(
      client,
      settlements.map(({ attempt, next, lane }) => ({
        attempt,
        withPrevious: lane.withPrevious,
        nextAttemptInMs: next.state === 'retry' ? next.waitMs : null,
      })),
    )
    if (held.length > 0) await settleHeldLanes(client, held)
    return { held, disabled: await saveHealth(client, health, held.map(newsOf)) }
  })
  disabled.forEach(onDisabled)
  return held
}

function newsOf({ attempt, next, disable, isFailing, isOverdue, holdMs }: Settlement): WebhookNews {
  return {
    webhookId: attempt.webhookId,
    url: attempt.request.url,
    isDelivered: attempt.outcome === 'delivered',
    isFailing,
    isExhausted: next.state === 'dead' || isOverdue,
    holdMs,
    gone: disable,
  }
}

async function lockHeldLanes(client: pg.PoolClient, settlements: readonly Settlement[]) {
  const { rows } = await client.query({
    name: 'lock_held_lanes',
    text: lockHeldLanesStatement,
    values: [
      settlements.map(({ lane }) => lane.webhookId),
      settlements.map(({ lane }) => lane.entityType),
      settlements.map(({ lane }) => lane.entityId),
      settlements.map(({ lane }) => lane.lease),
    ],
  })
  const keyOf = (webhookId: number, entityType: string, entityId: string) =>
    JSON.stringify([webhookId, entityType, entityId])
  const held = new Set(rows.map(row => keyOf(row.webhook_id, row.entity_type, row.entity_id)))
  return settlements.filter(({ lane }) => held.has(keyOf(lane.webhookId, lane.entityType, lane.entityId)))
}

async function settleHeldLanes(client: pg.PoolClient, held: readonly Settlement[]): Promise<void> {
  await client.query({
    name: 'settle_held_lanes',
    text: settleHeldLanesStatement,
    values: [
      held.map(({ lane }) => lane.webhookId),
      held.map(({ lane }) => lane.entityType),
      held.map(({ lane }) => lane.entityId),
      held.map(({ lane }) => lane.eventId),
      held.map(({ lane, next }) => attemptsAfter(lane, next)),
      held.map(({ next }) => next.state),
      held.map(({ next }) => (next.state === 'retry' ? next.waitMs : 0)),
    ],
  })
}

function attemptsAfter(lane: ClaimedLane, next: Next): number {
  return next.state === 'retry' && !next.costsAttempt ? lane.attempts : lane.attempts + 1
}
