import type pg from 'pg'
import type { TimeId } from '../domain/time-id.ts'
import { column } from './binary-array.ts'
import { type Outbox, transaction } from './database.ts'
import { lockHolder, standing } from './fence.ts'
import { type Delivery, deliveryColumns, itsEvent, toDelivery } from './shipment.ts'

/**
 * A row of `deliveries` is an event that could not be sent at once:
 *
 * | state | due_at | taken_by | who moves it on |
 * |---|---|---|---|
 * | waiting | finite | null | `pickDue`, when it is due |
 * | behind | infinity | null | whoever ends an older one of its entity: the oldest that is left becomes due |
 * | in a batch | infinity | null | its batch (batches.due_at, taken_by) |
 * | taken | finite | a holder | its settlement; after a death the takeover: due when nothing is under way any more |
 *
 * The oldest row of an entity is never `behind`. Whoever writes `infinity` has locked an older row, or writes one with it.
 */
export type AsideRow = {
  readonly webhookId: number
  readonly share: number
  readonly entityType: string
  readonly entityId: string
  readonly eventId: TimeId
  readonly attempts: number
  readonly withPrevious: boolean
  readonly asNew: boolean
  /** In how many ms it is due; null: behind an older one of its entity, or at once where nothing older waits any more. */
  readonly dueInMs: number | null
  /** The holder that is sending it; null: nobody is. */
  readonly takenBy: number | null
}

/** The entity of a row at its webhook. */
export const entityKey = (of: Pick<AsideRow, 'webhookId' | 'entityType' | 'entityId'>) =>
  JSON.stringify([of.webhookId, of.entityType, of.entityId])

/**
 * - s:      rows in the order of their events; `is_first` of its entity.
 * - older:  locked, so that nobody ends it before this has committed: who ends it sees these rows.
 *
 * A row that is there already was asked for by hand meanwhile, and stays as it is. Of a webhook that is gone nothing is kept.
 */
const setAsideStatement = `
insert into walhook.deliveries as d
  (webhook_id, share, entity_type, entity_id, event_id, attempts, with_previous, as_new, due_at, taken_by)
select s.webhook_id, s.share, s.entity_type, s.entity_id, s.event_id, s.attempts, s.with_previous, s.as_new,
       case when s.due_in_ms is not null then clock_timestamp() + s.due_in_ms * interval '1 ms'
            when s.taken_by is not null then clock_timestamp()
            when not s.is_first or older.event_id is not null then 'infinity'
            else clock_timestamp() end,
       s.taken_by
from unnest($1::int[], $2::smallint[], $3::text[], $4::text[], $5::bigint[], $6::smallint[], $7::boolean[], $8::boolean[],
            $9::float8[], $10::int[], $11::boolean[])
  as s (webhook_id, share, entity_type, entity_id, event_id, attempts, with_previous, as_new, due_in_ms, taken_by, is_first)
left join lateral (
  select o.event_id from walhook.deliveries o
  where o.webhook_id = s.webhook_id and o.entity_type = s.entity_type and o.entity_id = s.entity_id
    and o.event_id <= s.event_id and s.is_first and s.due_in_ms is null and s.taken_by is null
  order by o.event_id limit 1
  for key share
) older on true
where exists (select from walhook.webhooks w where w.id = s.webhook_id)
on conflict (webhook_id, entity_type, entity_id, event_id) do nothing
returning d.webhook_id, (extract(epoch from d.due_at - clock_timestamp()) * 1000)::float8 as due_in_ms`

/** What is due at a webhook, in ms from now. */
export type Due = { readonly webhookId: number; readonly dueInMs: number }

/**
 * Sets rows aside, those of an entity in the order of their events, within a transaction that has the holder's lock. Returns
 * when they are due; what waits behind others is left out.
 */
export async function setAside(client: pg.ClientBase, rows: readonly AsideRow[]): Promise<Due[]> {
  if (rows.length === 0) return []
  const seen = new Set<string>()
  const firsts = rows.map(row => {
    const key = entityKey(row)
    return !seen.has(key) && Boolean(seen.add(key))
  })
  const places = rows.map((_, i) => i)
  const { rows: set } = await client.query({
    name: 'set_aside',
    text: setAsideStatement,
    values: [
      column('int', rows, row => row.webhookId),
      column('smallint', rows, row => row.share),
      column('text', rows, row => row.entityType),
      column('text', rows, row => row.entityId),
      column('bigint', rows, row => row.eventId),
      column('smallint', rows, row => row.attempts),
      column('boolean', rows, row => row.withPrevious),
      column('boolean', rows, row => row.asNew),
      column('float8', rows, row => row.dueInMs),
      column('int', rows, row => row.takenBy),
      column('boolean', places, i => firsts[i]!),
    ],
  })
  return dues(set)
}

/** Rows with a finite time. */
export function dues(rows: readonly { webhook_id: number; due_in_ms: number }[]): Due[] {
  return rows
    .filter(row => Number.isFinite(row.due_in_ms))
    .map(row => ({ webhookId: row.webhook_id, dueInMs: row.due_in_ms }))
}

/**
 * Makes the oldest row of each entity due that waits behind what has just been ended, in a statement before. Not what is
 * taken or in a batch: that moves on by itself. The row is found by its key, not by its place: it may be changed while this
 * waits for it.
 */
const wakeNextStatement = `
with next as materialized (
  select o.*
  from unnest($1::int[], $2::text[], $3::text[]) as s (webhook_id, entity_type, entity_id)
  cross join lateral (
    select webhook_id, entity_type, entity_id, event_id from walhook.deliveries
    where webhook_id = s.webhook_id and entity_type = s.entity_type and entity_id = s.entity_id
    order by event_id limit 1
  ) o
)
update walhook.deliveries d
set due_at = least(d.due_at, clock_timestamp())
from next n
where d.webhook_id = n.webhook_id and d.entity_type = n.entity_type and d.entity_id = n.entity_id
  and d.event_id = n.event_id and d.taken_by is null and d.batch_id is null
returning d.webhook_id, (extract(epoch from d.due_at - clock_timestamp()) * 1000)::float8 as due_in_ms`

type Entity = { readonly webhookId: number; readonly entityType: string; readonly entityId: string }

/** Makes due what waited behind rows that this transaction has ended. Returns when what is left of these entities is due. */
export async function wakeNext(client: pg.ClientBase, entities: readonly Entity[]): Promise<Due[]> {
  if (entities.length === 0) return []
  const each = [...new Map(entities.map(entity => [entityKey(entity), entity])).values()]
  const { rows } = await client.query({
    name: 'wake_next',
    text: wakeNextStatement,
    values: [
      column('int', each, one => one.webhookId),
      column('text', each, one => one.entityType),
      column('text', each, one => one.entityId),
    ],
  })
  return dues(rows)
}

/** Takes rows that are due. Each share's are read in their order, so that nothing has to be sorted but what may be taken. */
const takeDueStatement = `
with due as materialized (
  select d.*
  from unnest($3::smallint[]) as s (share)
  cross join lateral (
    select webhook_id, entity_type, entity_id, event_id, due_at from walhook.deliveries
    where webhook_id = $2 and share = s.share and due_at <= now() and taken_by is null and due_at < 'infinity'
    order by due_at limit $4
    for no key update skip locked
  ) d
  order by d.due_at limit $4
)
update walhook.deliveries d
set taken_by = $1
from due
where d.webhook_id = due.webhook_id and d.entity_type = due.entity_type and d.entity_id = due.entity_id
  and d.event_id = due.event_id
returning d.entity_type, d.entity_id, d.event_id`

/**
 * Puts back what is behind an older row of its entity (asked for by hand, or taken by a holder before): a statement of its own,
 * which sees what was ended until the rows were locked. Whoever ends the older one waits for this, and makes the row due then.
 */
const putBackBehindStatement = `
update walhook.deliveries d
set taken_by = null, due_at = 'infinity'
from unnest($2::text[], $3::text[], $4::bigint[]) as t (entity_type, entity_id, event_id)
where d.webhook_id = $1 and d.entity_type = t.entity_type and d.entity_id = t.entity_id and d.event_id = t.event_id
  and exists (
    select from walhook.deliveries o
    where o.webhook_id = d.webhook_id and o.entity_type = d.entity_type and o.entity_id = d.entity_id
      and o.event_id < d.event_id
  )`

const readTakenStatement = `
select ${deliveryColumns}
from unnest($2::text[], $3::text[], $4::bigint[]) as t (entity_type, entity_id, event_id)
cross join lateral (
  select * from walhook.deliveries
  where webhook_id = $1 and entity_type = t.entity_type and entity_id = t.entity_id and event_id = t.event_id
    and taken_by = $5
  limit 1
) d
${itsEvent}
order by d.event_id`

/**
 * Takes up to `limit` rows of a webhook that are due, the oldest of their entities only, and returns them: from now on this
 * holder sends them. Nothing, where it is fenced.
 */
export async function pickDue(
  outbox: Outbox,
  input: { holderId: number; webhookId: number; shares: readonly number[]; limit: number },
): Promise<Delivery[]> {
  const { holderId, webhookId, shares, limit } = input
  if (limit <= 0 || shares.length === 0) return []
  return await transaction(outbox.pool, async client => {
    const [, held] = await Promise.all([lockHolder(client, holderId), standing(client, holderId)])
    const served = shares.filter(share => held?.has(share))
    if (served.length === 0) return []
    const { rows: taken } = await client.query({
      name: 'take_due',
      text: takeDueStatement,
      values: [holderId, webhookId, column('smallint', served, share => share), limit],
    })
    if (taken.length === 0) return []
    const keys = [
      column('text', taken, row => row.entity_type),
      column('text', taken, row => row.entity_id),
      column('bigint', taken, row => row.event_id),
    ]
    const [, { rows }] = await Promise.all([
      client.query({ name: 'put_back_behind', text: putBackBehindStatement, values: [webhookId, ...keys] }),
      client.query({ name: 'read_taken', text: readTakenStatement, values: [webhookId, ...keys, holderId] }),
    ])
    return rows.map(toDelivery)
  })
}

const blockedStatement = `
select array(
         select s.place::int
         from unnest($1::int[], $2::text[], $3::text[]) with ordinality as s (webhook_id, entity_type, entity_id, place)
         where exists (
           select from walhook.deliveries d
           where d.webhook_id = s.webhook_id and d.entity_type = s.entity_type and d.entity_id = s.entity_id
         )
       ) as places,
       array(
         select w.id from unnest($4::int[]) as w (id)
         where not exists (select from walhook.deliveries d where d.webhook_id = w.id)
       ) as without`

/** Which entities have rows, so that what is newer has to join them; and the webhooks `without` any row at all. */
export async function blockedEntities(
  outbox: Outbox,
  input: {
    readonly webhookIds: readonly number[]
    readonly entityTypes: readonly string[]
    readonly entityIds: readonly string[]
  },
): Promise<{ readonly blocked: readonly boolean[]; readonly without: readonly number[] }> {
  const { webhookIds, entityTypes, entityIds } = input
  if (webhookIds.length === 0) return { blocked: [], without: [] }
  const { rows } = await outbox.pool.query({
    name: 'blocked_entities',
    text: blockedStatement,
    values: [
      column('int', webhookIds, id => id),
      column('text', entityTypes, type => type),
      column('text', entityIds, id => id),
      column('int', [...new Set(webhookIds)], id => id),
    ],
  })
  const blocked = webhookIds.map(() => false)
  for (const place of rows[0].places) blocked[place - 1] = true
  return { blocked, without: rows[0].without }
}

/**
 * The webhooks that have rows: a walk along the key that touches one entry for each, and then the earliest in each share.
 * Only what can be taken counts.
 */
const webhooksWithAsideStatement = `
with recursive w as (
  (select webhook_id from walhook.deliveries order by webhook_id limit 1)
  union all
  select next.webhook_id from w cross join lateral (
    select d.webhook_id from walhook.deliveries d where d.webhook_id > w.webhook_id order by d.webhook_id limit 1
  ) next
)
select w.webhook_id, (extract(epoch from due.at - clock_timestamp()) * 1000)::float8 as due_in_ms
from w cross join lateral (
  select least(min(d.due_at), min(b.due_at)) as at
  from unnest($1::smallint[]) as s (share)
  left join lateral (
    select due_at from walhook.deliveries
    where webhook_id = w.webhook_id and share = s.share and taken_by is null and due_at < 'infinity'
    order by due_at limit 1
  ) d on true
  left join lateral (
    select due_at from walhook.batches
    where share = s.share and webhook_id = w.webhook_id and taken_by is null
    order by due_at limit 1
  ) b on true
) due`

/** The webhooks that have rows or batches, and in how many ms the first in these shares is due; null: none is. */
export async function webhooksWithAside(
  outbox: Outbox,
  shares: readonly number[],
): Promise<{ webhookId: number; dueInMs: number | null }[]> {
  const { rows } = await outbox.pool.query({
    name: 'webhooks_with_aside',
    text: webhooksWithAsideStatement,
    values: [column('smallint', shares, share => share)],
  })
  return rows.map(row => ({ webhookId: row.webhook_id, dueInMs: row.due_in_ms }))
}
