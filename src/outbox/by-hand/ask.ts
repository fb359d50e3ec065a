import type pg from 'pg'
import type { Entity } from '../../domain/event/entity.ts'
import { entityKey } from '../../domain/event/entity.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { isTaken } from '../aside/taken.ts'
import { planTransactionByIndex } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { newIds } from '../database/new-ids.ts'
import { ofEntity } from '../database/row-keys.ts'
import { rows, statement } from '../database/statement.ts'
import { isDelivered, isSkipped, positionIn, waitsInLog } from '../log/waits.ts'
import { formOf, stateAt, wantedColumns, wants } from '../log/wanted.ts'
import { makeDue, notifyByHand } from './by-hand.ts'

/**
 * The state of an event at a webhook:
 *
 * - row: a row, attempted already (`failed`) or not (`waits`)
 * - in_flight: being sent, as a row or by the stream
 * - in_log: not reached by its stream
 * - nowhere: delivered, ended, or never wanted
 */
type AskedState = 'waits' | 'failed' | 'in_flight' | 'in_log' | 'nowhere'

type AskedEvent = Entity & {
  readonly eventId: TimeId
  readonly share: number
  readonly state: AskedState
  readonly isDead: boolean
  readonly isRow: boolean
  /** Whether its stream has reached it. */
  readonly isPassed: boolean
}

const positionsOfEvents = statement(
  'positions_of_events',
  { webhookId: 'int', eventIds: 'bigint[]' },
  p => `
select e.id as event_id, e.entity_type, e.entity_id, e.share, coalesce(x.state = 'dead', false) as is_dead,
       d.event_id is not null as is_row,
       e.id <= p.settled_up_to as is_passed,
       case when d.event_id is not null
              then case when ${isTaken('d')} then 'in_flight' when d.attempts > 0 then 'failed' else 'waits' end
            when e.id <= p.settled_up_to or not ${wants('e', 's')} or x.event_id is not null then 'nowhere'
            when ${isSkipped(p.webhookId, 'e')} then 'nowhere'
            when e.id > p.may_send_up_to then 'in_log'
            when ${isDelivered(p.webhookId, 'e')} then 'nowhere'
            else 'in_flight' end as state
from unnest(${p.eventIds}) as i (id)
cross join lateral (
  select ${wantedColumns.replace('share', 'coalesce(share, walhook.share_of(entity_type, entity_id)) as share')}
  from walhook.events where id = i.id limit 1
) e
cross join lateral (${positionIn(p.webhookId, 'e.share')}) p
left join lateral (${stateAt(p.webhookId, 'e.webhooks_version')}) s on true
left join lateral (
  select * from walhook.deliveries
  where webhook_id = ${p.webhookId} and entity_type = e.entity_type and entity_id = e.entity_id and event_id = e.id limit 1
) d on true
left join lateral (
  select * from walhook.ended_deliveries where webhook_id = ${p.webhookId} and event_id = e.id limit 1
) x on true
order by e.id`,
)

type UpTo = Entity & { readonly share: number; readonly upTo: TimeId }

const ofUpTo = { ...ofEntity, share: 'smallint', upTo: 'bigint' } as const
const upTos = rows<UpTo>(ofUpTo)

/** `k`: entities, each with an event up to which its stream may send. */
const pulledFrom = (p: { webhookId: string; entities: (alias: string) => string }) => `
k as materialized (
  select k.*, least(p.may_send_up_to, k.up_to - 1) as after_id
  from ${p.entities('k')} cross join lateral (${positionIn(p.webhookId, 'k.share')}) p
)`

/**
 * Turns entities' events in the log up to an event into rows, so that the event follows them; the stream skips
 * them (`passOver`). Earlier ones that may be in flight stay with the stream: `waitsForStream`.
 */
const pull = statement(
  'pull_from_the_log',
  { webhookId: 'int', entities: upTos },
  p => `
with ${pulledFrom(p)}, pulled as materialized (
  select e.share, e.entity_type, e.entity_id, e.id, w.previous, ${formOf('e', 's')}
  from k
  join walhook.webhooks w on w.id = ${p.webhookId}
  cross join lateral (
    select * from walhook.events
    where entity_id = k.entity_id and entity_type = k.entity_type and id > k.after_id and id <= k.up_to
    order by id offset 0
  ) e
  cross join lateral (${stateAt(p.webhookId, 'e.webhooks_version')}) s
  where ${waitsInLog(p.webhookId, { e: 'e', s: 's', settled: 'k.after_id', maySend: 'k.after_id' })}
)
insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, with_previous, as_new, as_delete, due_at)
select ${p.webhookId}, share, entity_type, entity_id, id, previous, as_new, as_delete, 'infinity' from pulled
on conflict do nothing
returning event_id`,
)

const passOver = statement(
  'pass_over',
  {
    webhookId: 'int',
    entities: rows<UpTo & { readonly id: bigint }>({ ...ofUpTo, id: 'bigint' }),
  },
  p => `
with ${pulledFrom(p)}
insert into walhook.skips (id, webhook_id, entity_type, entity_id, after_id, up_to) overriding system value
select id, ${p.webhookId}, entity_type, entity_id, after_id, up_to from k`,
)

/** Rows by hand, with the body by the webhook's present settings; existing rows keep theirs. They start with attempt 1. */
const insertAsked = statement(
  'insert_asked',
  { webhookId: 'int', eventIds: 'bigint[]' },
  p => `
with asked as materialized (
  select coalesce(e.share, walhook.share_of(e.entity_type, e.entity_id)) as share, e.entity_type, e.entity_id, e.id, w.previous,
         ${formOf('e', 'w')}
  from unnest(${p.eventIds}) as i (id)
  cross join lateral (select * from walhook.events where id = i.id limit 1) e
  join walhook.webhooks w on w.id = ${p.webhookId}
)
insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, with_previous, as_new, as_delete, is_manual, due_at)
select ${p.webhookId}, share, entity_type, entity_id, id, previous, as_new, as_delete, true, 'infinity' from asked
on conflict (webhook_id, entity_type, entity_id, event_id) do update set attempts = 0, is_manual = true`,
)

const forgetEnd = statement(
  'forget_end',
  { webhookId: 'int', eventIds: 'bigint[]' },
  p => `
delete from walhook.ended_deliveries where webhook_id = ${p.webhookId} and event_id = any(${p.eventIds})`,
)

/** The states of stored events, in ascending order of id. */
export async function askedPositions(
  client: pg.ClientBase,
  { webhookId, eventIds }: { webhookId: number; eventIds: readonly TimeId[] },
): Promise<AskedEvent[]> {
  const { rows } = await positionsOfEvents(client, { webhookId, eventIds })
  return rows.map(fields<AskedEvent>)
}

/** Which of the events are sent, by state. */
type Purpose = 'resend' | 'replay' | 'failed'

function isSent({ state, isDead }: AskedEvent, purpose: Purpose): boolean {
  switch (purpose) {
    case 'resend':
      return state !== 'in_flight'
    case 'replay':
      return state === 'nowhere'
    case 'failed':
      return state === 'failed' || (state === 'nowhere' && isDead)
    default:
      return purpose satisfies never
  }
}

/**
 * Queues events for a webhook by hand, in their entities' order, in a transaction begun by `lockToSend`:
 *
 * - resend: always, unless in flight
 * - replay: unless pending or in flight
 * - failed: if dead, or pending after a failure
 *
 * All events of one entity must come in one call, so that no newer one is sent in between. Returns each event's earlier
 * state, and which are sent now, without events that are no longer stored.
 */
export async function askFor(
  client: pg.PoolClient,
  input: { webhookId: number; eventIds: readonly TimeId[]; purpose: Purpose },
): Promise<{ events: readonly AskedEvent[]; asked: readonly AskedEvent[] }> {
  const { webhookId, purpose } = input
  await planTransactionByIndex(client)
  const events = await askedPositions(client, input)
  const asked = events.filter(event => isSent(event, purpose))
  if (asked.length === 0) return { events, asked }
  const inLog = new Map<string, UpTo>()
  // In ascending order of id: the last one of each entity counts.
  for (const event of asked)
    if (!event.isPassed && !event.isRow) inLog.set(entityKey(event), { ...event, upTo: event.eventId })
  const pulled = await pullFromLog(client, webhookId, [...inLog.values()])
  const eventIds = asked.map(({ eventId }) => eventId)
  await Promise.all([
    insertAsked(client, { webhookId, eventIds }),
    forgetEnd(client, { webhookId, eventIds }),
  ])
  const changed = [...eventIds, ...pulled]
  const entities = [...new Map(asked.map(event => [entityKey(event), event])).values()]
  await makeDue(client, { webhookId, entities, changed })
  await notifyByHand(client, webhookId)
  return { events, asked }
}

async function pullFromLog(
  client: pg.ClientBase,
  webhookId: number,
  entities: readonly UpTo[],
): Promise<TimeId[]> {
  if (entities.length === 0) return []
  const [{ rows }, ids] = await Promise.all([
    pull(client, { webhookId, entities }),
    newIds(client, 'skips', entities.length),
  ])
  await passOver(client, { webhookId, entities: entities.map((each, i) => ({ ...each, id: ids[i]! })) })
  return rows.map(row => row.event_id)
}
