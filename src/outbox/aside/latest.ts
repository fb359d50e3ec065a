import type pg from 'pg'
import { keepLatest, type Waiting } from '../../domain/delivery/latest.ts'
import { type Entity, entityKey } from '../../domain/event/entity.ts'
import { bodySent } from '../../domain/event/event.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { asHolder } from '../database/fence.ts'
import { fields } from '../database/fields.ts'
import { ofEvent, rowOfS } from '../database/row-keys.ts'
import { rows, statement } from '../database/statement.ts'
import { isSkipped } from '../log/waits.ts'
import { sentAction, stateAt, wants } from '../log/wanted.ts'
import { type Due, wakeNext } from './aside.ts'
import { lockRows } from './lock-rows.ts'
import type { Delivery } from './shipment.ts'

export type Superseded = { readonly delivery: Delivery; readonly supersededBy: TimeId }

/** A superseded event. `isNew`: it is a `new`, or replaces one. */
type Ended = Entity &
  Pick<Waiting, 'eventId' | 'attempts'> & {
    readonly supersededBy: TimeId
    readonly isNew: boolean
    /** Null: not in the request. */
    readonly delivery: Delivery | null
  }

type Asked = {
  readonly webhookId: number
  /** The oldest pending deliveries of each entity, in order: from the stream, or taken rows. No older one is sent. */
  readonly deliveries: readonly Delivery[]
  /** The read position of the webhook's stream: later events are still in the log. */
  readonly readUpTo: (share: number) => TimeId
}

/** The maximum of further events examined, for all entities. */
const maxLookedAt = 2_000

type Run = {
  readonly first: Delivery
  readonly last: Delivery
  readonly readUpTo: TimeId
}

/**
 * The surroundings of some entities' deliveries:
 *
 * - before: the event before the first, if superseded: it shows whether the first replaces a `new`
 * - after: what follows the last one, as rows and in the log, in order, up to `max` of each
 */
const around = statement(
  'around_entities',
  {
    webhookId: 'int',
    max: 'int',
    runs: rows<Run>(
      { readUpTo: 'bigint' },
      {
        entity_type: ['text', run => run.first.entityType],
        entity_id: ['text', run => run.first.entityId],
        first_id: ['bigint', run => run.first.eventId],
        checks_earlier: ['boolean', run => takesForm(run.first)],
        last_id: ['bigint', run => run.last.eventId],
        checks_later: ['boolean', run => run.last.actionType !== 'delete'],
      },
    ),
  },
  p => `
select k.entity_type, k.entity_id, coalesce(before.as_new, false) as was_new, after.*
from ${p.runs('k')}
left join lateral (
  select x.as_new
  from (
    select e.id
    from walhook.events e
    left join lateral (${stateAt(p.webhookId, 'e.webhooks_version')}) s on true
    where k.checks_earlier and e.entity_id = k.entity_id and e.entity_type = k.entity_type and e.id < k.first_id
      and ${wants('e', 's')}
    order by e.id desc limit 1
  ) e
  cross join lateral (
    select as_new from walhook.ended_deliveries
    where webhook_id = ${p.webhookId} and event_id = e.id and state = 'superseded' and superseded_by >= k.first_id limit 1
  ) x
) before on true
left join lateral (
  (
    select d.event_id, case when d.as_delete then 'delete' else e.action_type end as action_type, d.attempts, d.as_new,
           d.taken_by is not null or d.batch_id is not null and exists (
             select 1 from walhook.deliveries o
             where o.webhook_id = ${p.webhookId} and o.batch_id = d.batch_id and o.event_id <> d.event_id
           ) as is_together, true as is_row
    from walhook.deliveries d
    cross join lateral (select action_type from walhook.events where id = d.event_id limit 1) e
    where k.checks_later and d.webhook_id = ${p.webhookId} and d.entity_type = k.entity_type and d.entity_id = k.entity_id
      and d.event_id > k.last_id
    order by d.event_id limit ${p.max}
  )
  union all
  (
    select e.id, ${sentAction('e', 's')}, 0::smallint, false, false, false
    from walhook.events e
    left join lateral (${stateAt(p.webhookId, 'e.webhooks_version')}) s on true
    where k.checks_later and e.entity_id = k.entity_id and e.entity_type = k.entity_type
      and e.id > greatest(k.last_id, k.read_up_to) and ${wants('e', 's')} and not ${isSkipped(p.webhookId, 'e')}
    order by e.id limit ${p.max}
  )
) after on true`,
)

/** Deletes the rows of superseded deliveries, and their batches where those are empty then. */
const deleteSuperseded = statement(
  'delete_superseded',
  { webhookId: 'int', superseded: rows<Ended>(ofEvent) },
  p => `
with s as materialized (
  select d.ctid as row
  from ${p.superseded('s')}
  cross join ${rowOfS('ctid', p.webhookId)} d
), gone as (
  delete from walhook.deliveries d using s where d.ctid = s.row returning d.batch_id
)
delete from walhook.batches b using gone
where b.webhook_id = ${p.webhookId} and b.id = gone.batch_id and not exists (
  select 1 from walhook.deliveries d
  where d.webhook_id = ${p.webhookId} and d.batch_id = gone.batch_id and not exists (select 1 from s where s.row = d.ctid)
  offset 0
)`,
)

/** Records the end of superseded deliveries. A later supersession replaces an earlier record. */
const recordSuperseded = statement(
  'record_superseded',
  {
    webhookId: 'int',
    superseded: rows<Ended>(
      { ...ofEvent, attempts: 'smallint', supersededBy: 'bigint' },
      { as_new: ['boolean', ended => ended.isNew] },
    ),
  },
  p => `
insert into walhook.ended_deliveries (webhook_id, event_id, entity_type, entity_id, state, superseded_by, attempts, as_new)
select ${p.webhookId}, event_id, entity_type, entity_id, 'superseded', superseded_by, attempts, as_new
from ${p.superseded('s')}
on conflict (webhook_id, event_id)
  do update set state = 'superseded', superseded_by = excluded.superseded_by, attempts = excluded.attempts,
                as_new = excluded.as_new, ended_at = excluded.ended_at`,
)

const eventsById = statement(
  'events_by_id',
  { ids: 'bigint[]' },
  p => `select id, body, previous, omitted from walhook.events where id = any(${p.ids})`,
)

/**
 * Decides which of the next deliveries of a webhook with mode `latest` are superseded by later ones, in memory
 * (`deliveries`), as rows or in the log; and commits that. `send`: the others, in their form.
 */
export async function latestOf(
  outbox: Outbox,
  asked: Asked & { readonly holderId: number },
): Promise<{
  isFenced: boolean
  send: readonly Delivery[]
  superseded: readonly Superseded[]
  /** When rows are due that superseded ones blocked. */
  left: readonly Due[]
}> {
  const { ended, ...chosen } = await chooseLatest(outbox.pool, asked)
  if (ended.length === 0) return { isFenced: false, left: [], ...chosen }
  const written = await asHolder(outbox, asked.holderId, async client => {
    const left = await writeEnded(client, asked.webhookId, ended)
    return { isFenced: false, left, ...chosen }
  })
  return written ?? { isFenced: true, send: [], superseded: [], left: [] }
}

/** The same in a transaction with the holder's lock. */
export async function keepLatestOf(
  client: pg.ClientBase,
  asked: Asked,
): Promise<{ send: readonly Delivery[]; superseded: readonly Superseded[] }> {
  const { ended, ...chosen } = await chooseLatest(client, asked)
  await writeEnded(client, asked.webhookId, ended)
  return chosen
}

async function writeEnded(
  client: pg.ClientBase,
  webhookId: number,
  ended: readonly Ended[],
): Promise<readonly Due[]> {
  if (ended.length === 0) return []
  await lockRows(client, { webhookId, keys: ended })
  const superseded = { webhookId, superseded: ended }
  await Promise.all([deleteSuperseded(client, superseded), recordSuperseded(client, superseded)])
  return await wakeNext(
    client,
    ended.map(each => ({ ...each, webhookId })),
  )
}

/** Whether a delivery that replaces a `new` is sent as one. */
function takesForm({ actionType, attempts }: Pick<Waiting, 'actionType' | 'attempts'>): boolean {
  return actionType === 'update' && attempts === 0
}

async function chooseLatest(
  db: pg.Pool | pg.ClientBase,
  { webhookId, deliveries, readUpTo }: Asked,
): Promise<{ send: Delivery[]; superseded: Superseded[]; ended: Ended[] }> {
  if (deliveries.length === 0) return { send: [], superseded: [], ended: [] }
  const runs = Map.groupBy(deliveries, entityKey)
  const max = Math.max(2, Math.floor(maxLookedAt / runs.size))
  const { rows: found } = await around(db, {
    webhookId,
    max,
    runs: [...runs.values()].map(run => ({
      first: run[0]!,
      last: run.at(-1)!,
      readUpTo: readUpTo(run[0]!.share),
    })),
  })
  const aroundOf = Map.groupBy(found, row => entityKey(fields<Entity>(row)))
  const chosen = [...runs].map(([key, run]) => chooseOfRun(run, aroundOf.get(key) ?? []))
  const ended = chosen.flatMap(each => each.ended)
  return {
    send: await inForm(
      db,
      chosen.flatMap(({ send }) => send),
    ),
    superseded: ended.flatMap(({ delivery, supersededBy }) => (delivery ? [{ delivery, supersededBy }] : [])),
    ended,
  }
}

type Sent = { readonly delivery: Delivery; readonly asNew: boolean }

/** Rebuilds the body of a delivery sent as `new`: an `update` may contain earlier values that a `new` lacks. */
async function inForm(db: pg.Pool | pg.ClientBase, send: readonly Sent[]): Promise<Delivery[]> {
  const changed = send.filter(({ delivery, asNew }) => asNew && !delivery.asNew)
  if (changed.length === 0) return send.map(({ delivery }) => delivery)
  const { rows: events } = await eventsById(db, { ids: changed.map(({ delivery }) => delivery.eventId) })
  const eventOf = new Map(events.map(event => [event.id as TimeId, event]))
  return send.flatMap(({ delivery, asNew }) => {
    if (!asNew || delivery.asNew) return [delivery]
    const event = eventOf.get(delivery.eventId)
    const form = { asNew: true, asDelete: false, withPrevious: delivery.withPrevious }
    return event ? [{ ...delivery, ...form, actionType: 'new' as const, body: bodySent(event, form) }] : []
  })
}

/** A pending event: from the request, a row after it, or in the log. */
type Known = Waiting & { readonly delivery: Delivery | null; readonly isRow: boolean }

function chooseOfRun(
  run: readonly Delivery[],
  // biome-ignore lint/suspicious/noExplicitAny: rows of the statement above
  around: readonly any[],
): { send: Sent[]; ended: Ended[] } {
  const wasNew = around[0]?.was_new === true
  const asked = run.map(
    (delivery, i): Known => ({
      ...delivery,
      asNew: delivery.asNew || (i === 0 && wasNew && takesForm(delivery)),
      isTogether: false,
      delivery,
      isRow: true,
    }),
  )
  const all = [...asked, ...behindOf(around)]
  const { send, superseded } = keepLatest(all)
  const carrierOf = new Map(superseded.map(({ eventId, supersededBy }) => [eventId, supersededBy]))
  const { entityType, entityId } = run[0]!
  const ended: Ended[] = []
  // A superseded event passes its form on to the next, until one is sent.
  let isNew = false
  for (const each of all) {
    const supersededBy = carrierOf.get(each.eventId)
    isNew = each.asNew || each.actionType === 'new' || (isNew && takesForm(each))
    const { eventId, attempts, delivery } = each
    if (supersededBy === undefined) isNew = false
    // Events in the log only are compared when they are read.
    else if (each.isRow)
      ended.push({ entityType, entityId, eventId, attempts, supersededBy, isNew, delivery })
  }
  return { send: send.flatMap(({ delivery, asNew }) => (delivery ? [{ delivery, asNew }] : [])), ended }
}

/** The later events, in order. An event that is a row and in the log counts as the row, which comes first. */
// biome-ignore lint/suspicious/noExplicitAny: rows of the statement above
function behindOf(around: readonly any[]): Known[] {
  const behind = new Map<TimeId, Known>()
  for (const row of around)
    if (row.event_id !== null && !behind.has(row.event_id))
      behind.set(row.event_id, { ...fields<Known>(row), delivery: null })
  return [...behind.values()].toSorted((a, b) => (a.eventId < b.eventId ? -1 : 1))
}
