import type pg from 'pg'
import type { TimeId } from '../domain/time-id.ts'
import { type Outbox, transaction } from './database.ts'
import { deliveryColumns, fromRow } from './delivery-row.ts'
import { lockHolder, standing } from './fence.ts'
import { type Delivery, itsEvent } from './shipment.ts'
import { rows, statement } from './statement.ts'

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
 *
 * Statements here know the keys of what they look for. `offset 0` keeps an `exists` from being turned into a join: where the statistics are
 * of a time when the table was empty, it would be read whole.
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

/** In how many ms a moment comes; null: never. Before PostgreSQL 17, infinity can't be subtracted from. */
export const dueInMs = (moment: string) =>
  `(extract(epoch from nullif(${moment}, 'infinity') - clock_timestamp()) * 1000)::float8`

/**
 * - s:      rows in the order of their events; `is_first` of its entity.
 * - older:  locked, so that nobody ends it before this has committed: who ends it sees these rows.
 *
 * A row that is there already was asked for by hand meanwhile, and stays as it is. Of a webhook that is gone nothing is kept.
 */
const setAsideStatement = statement(
  'set_aside',
  {
    aside: rows<AsideRow & { readonly isFirst: boolean }>({
      webhook_id: ['int', row => row.webhookId],
      share: ['smallint', row => row.share],
      entity_type: ['text', row => row.entityType],
      entity_id: ['text', row => row.entityId],
      event_id: ['bigint', row => row.eventId],
      attempts: ['smallint', row => row.attempts],
      with_previous: ['boolean', row => row.withPrevious],
      as_new: ['boolean', row => row.asNew],
      due_in_ms: ['float8', row => row.dueInMs],
      taken_by: ['int', row => row.takenBy],
      is_first: ['boolean', row => row.isFirst],
    }),
  },
  p => `
insert into walhook.deliveries as d
  (webhook_id, share, entity_type, entity_id, event_id, attempts, with_previous, as_new, due_at, taken_by)
select s.webhook_id, s.share, s.entity_type, s.entity_id, s.event_id, s.attempts, s.with_previous, s.as_new,
       case when s.due_in_ms is not null then clock_timestamp() + s.due_in_ms * interval '1 ms'
            when s.taken_by is not null then clock_timestamp()
            when not s.is_first or older.event_id is not null then 'infinity'
            else clock_timestamp() end,
       s.taken_by
from ${p.aside('s')}
left join lateral (
  select o.event_id from walhook.deliveries o
  where o.webhook_id = s.webhook_id and o.entity_type = s.entity_type and o.entity_id = s.entity_id
    and o.event_id <= s.event_id and s.is_first and s.due_in_ms is null and s.taken_by is null
  order by o.event_id limit 1
  for key share
) older on true
where exists (select from walhook.webhooks w where w.id = s.webhook_id offset 0)
on conflict (webhook_id, entity_type, entity_id, event_id) do nothing
returning d.webhook_id, ${dueInMs('d.due_at')} as due_in_ms`,
)

/** What is due at a webhook, in ms from now. */
export type Due = { readonly webhookId: number; readonly dueInMs: number }

/**
 * Sets rows aside, those of an entity in the order of their events, within a transaction that has the holder's lock. Returns
 * when they are due; what waits behind others is left out.
 */
export async function setAside(client: pg.ClientBase, rows: readonly AsideRow[]): Promise<Due[]> {
  if (rows.length === 0) return []
  const seen = new Set<string>()
  const aside = rows.map(row => {
    const key = entityKey(row)
    return { ...row, isFirst: !seen.has(key) && Boolean(seen.add(key)) }
  })
  return dues((await setAsideStatement(client, { aside })).rows)
}

/** Of what has been written, all that has a time. */
export function dues(rows: readonly { webhook_id: number; due_in_ms: number | null }[]): Due[] {
  return rows.flatMap(row =>
    row.due_in_ms === null ? [] : [{ webhookId: row.webhook_id, dueInMs: row.due_in_ms }],
  )
}

type Entity = { readonly webhookId: number; readonly entityType: string; readonly entityId: string }
const entities = rows<Entity>({
  webhook_id: ['int', of => of.webhookId],
  entity_type: ['text', of => of.entityType],
  entity_id: ['text', of => of.entityId],
})

/** The oldest row of an entity `s`. */
const oldestOf = (and = '') => `
cross join lateral (
  select ctid, due_at, taken_by, batch_id from walhook.deliveries
  where webhook_id = s.webhook_id and entity_type = s.entity_type and entity_id = s.entity_id
  order by event_id limit 1
  ${and}
) o`

/** Waits for whoever picks one of them at this moment, and may put it back as behind. */
const lockOldest = statement(
  'lock_oldest',
  { entities },
  p => `select 1 from ${p.entities('s')} ${oldestOf('for no key update')}`,
)

/** Not what is taken or in a batch: that moves on by itself. */
const wakeOldest = statement(
  'wake_oldest',
  { entities },
  p => `
with oldest as materialized (
  select o.ctid from ${p.entities('s')} ${oldestOf()} where o.due_at = 'infinity' and o.taken_by is null and o.batch_id is null
)
update walhook.deliveries d
set due_at = clock_timestamp()
from oldest
where d.ctid = oldest.ctid
returning d.webhook_id, ${dueInMs('d.due_at')} as due_in_ms`,
)

/** Makes due what waited behind rows that this transaction has ended. Returns when what is left of these entities is due. */
export async function wakeNext(client: pg.ClientBase, ended: readonly Entity[]): Promise<Due[]> {
  if (ended.length === 0) return []
  const entities = [...new Map(ended.map(entity => [entityKey(entity), entity])).values()]
  const [, woken] = await Promise.all([lockOldest(client, { entities }), wakeOldest(client, { entities })])
  return dues(woken.rows)
}

/**
 * Takes rows that are due. Each share's are read in their order, so that nothing has to be sorted but what may be taken. One that
 * has changed in the moment before it was locked is not where it was found, and is left to the next time.
 */
const takeDue = statement(
  'take_due',
  { holderId: 'int', webhookId: 'int', shares: 'smallint[]', most: 'int' },
  p => `
with due as materialized (
  select d.*
  from unnest(${p.shares}) as s (share)
  cross join lateral (
    select ctid, due_at from walhook.deliveries
    where webhook_id = ${p.webhookId} and share = s.share and due_at <= now() and taken_by is null and due_at < 'infinity'
    order by due_at limit ${p.most}
  ) d
  order by d.due_at limit ${p.most}
), locked as materialized (
  select l.ctid
  from due
  cross join lateral (
    select ctid from walhook.deliveries where ctid = due.ctid and taken_by is null for no key update skip locked
  ) l
)
update walhook.deliveries d
set taken_by = ${p.holderId}
from locked
where d.ctid = locked.ctid
returning d.entity_type, d.entity_id, d.event_id`,
)

type Key = { readonly entityType: string; readonly entityId: string; readonly eventId: TimeId }
const keys = rows<Key>({
  entity_type: ['text', key => key.entityType],
  entity_id: ['text', key => key.entityId],
  event_id: ['bigint', key => key.eventId],
})

/**
 * Puts back what is behind an older row of its entity (asked for by hand, or taken by a holder before): a statement of its own,
 * which sees what was ended until the rows were locked. Whoever ends the older one waits for this, and makes the row due then.
 */
const putBackBehind = statement(
  'put_back_behind',
  { webhookId: 'int', keys },
  p => `
with behind as materialized (
  select d.ctid
  from ${p.keys('s')}
  cross join lateral (
    select ctid from walhook.deliveries
    where webhook_id = ${p.webhookId} and entity_type = s.entity_type and entity_id = s.entity_id and event_id = s.event_id
    limit 1
  ) d
  where exists (
    select from walhook.deliveries o
    where o.webhook_id = ${p.webhookId} and o.entity_type = s.entity_type and o.entity_id = s.entity_id
      and o.event_id < s.event_id offset 0
  )
)
update walhook.deliveries d
set taken_by = null, due_at = 'infinity'
from behind
where d.ctid = behind.ctid`,
)

const readTaken = statement(
  'read_taken',
  { webhookId: 'int', holderId: 'int', keys },
  p => `
select ${deliveryColumns}
from ${p.keys('s')}
cross join lateral (
  select * from walhook.deliveries
  where webhook_id = ${p.webhookId} and entity_type = s.entity_type and entity_id = s.entity_id and event_id = s.event_id
  limit 1
) d
${itsEvent}
where d.taken_by = ${p.holderId}
order by d.event_id`,
)

const nextDue = statement(
  'next_due',
  { webhookId: 'int', shares: 'smallint[]' },
  p => `
select ${dueInMs('min(d.due_at)')} as due_in_ms
from unnest(${p.shares}) as s (share)
cross join lateral (
  select due_at from walhook.deliveries
  where webhook_id = ${p.webhookId} and share = s.share and taken_by is null and due_at < 'infinity'
  order by due_at limit 1
) d`,
)

/** Rows that were taken, and when the earliest of those that are left is due; null: none is. */
export type Picked = { readonly deliveries: readonly Delivery[]; readonly nextDueInMs: number | null }

/**
 * Takes up to `limit` rows of a webhook that are due, the oldest of their entities only: from now on this holder sends them.
 * Nothing, where it is fenced.
 */
export async function pickDue(
  outbox: Outbox,
  input: { holderId: number; webhookId: number; shares: readonly number[]; limit: number },
): Promise<Picked> {
  const { holderId, webhookId, limit } = input
  return await transaction(outbox.pool, async client => {
    const [, held] = await Promise.all([lockHolder(client, holderId), standing(client, holderId)])
    const shares = input.shares.filter(share => held?.shares.has(share))
    if (shares.length === 0) return { deliveries: [], nextDueInMs: null }
    const due = await takeDue(client, { holderId, webhookId, shares, most: Math.max(0, limit) })
    const taken = due.rows.map(row => ({
      entityType: row.entity_type,
      entityId: row.entity_id,
      eventId: row.event_id,
    }))
    const [, read, left] = await Promise.all([
      taken.length > 0 && putBackBehind(client, { webhookId, keys: taken }),
      taken.length > 0 && readTaken(client, { webhookId, holderId, keys: taken }),
      nextDue(client, { webhookId, shares }),
    ])
    return { deliveries: read ? read.rows.map(fromRow) : [], nextDueInMs: left.rows[0].due_in_ms }
  })
}

const giveBackStatement = statement(
  'give_back',
  {
    holderId: 'int',
    taken: rows<Delivery>({
      webhook_id: ['int', each => each.webhookId],
      entity_type: ['text', each => each.entityType],
      entity_id: ['text', each => each.entityId],
      event_id: ['bigint', each => each.eventId],
    }),
  },
  p => `
with given as materialized (
  select d.ctid
  from ${p.taken('s')}
  cross join lateral (
    select ctid, taken_by from walhook.deliveries
    where webhook_id = s.webhook_id and entity_type = s.entity_type and entity_id = s.entity_id and event_id = s.event_id
    limit 1
  ) d
  where d.taken_by = ${p.holderId}
)
update walhook.deliveries d set taken_by = null from given where d.ctid = given.ctid`,
)

/** Gives back rows that were taken and not sent: they are due as before. */
export async function giveBack(
  outbox: Outbox,
  { holderId, deliveries }: { holderId: number; deliveries: readonly Delivery[] },
): Promise<void> {
  if (deliveries.length === 0) return
  await transaction(outbox.pool, async client => {
    await lockHolder(client, holderId)
    await giveBackStatement(client, { holderId, taken: deliveries })
    await wakeNext(client, deliveries)
  })
}

const blockedStatement = statement(
  'blocked_entities',
  {
    asked: rows<Entity & { readonly place: number }>({
      webhook_id: ['int', of => of.webhookId],
      entity_type: ['text', of => of.entityType],
      entity_id: ['text', of => of.entityId],
      place: ['int', of => of.place],
    }),
    webhookIds: 'int[]',
  },
  p => `
select array(
         select s.place from ${p.asked('s')}
         where exists (
           select from walhook.deliveries d
           where d.webhook_id = s.webhook_id and d.entity_type = s.entity_type and d.entity_id = s.entity_id offset 0
         )
       ) as places,
       array(
         select w.id from unnest(${p.webhookIds}) as w (id)
         where not exists (select from walhook.deliveries d where d.webhook_id = w.id offset 0)
       ) as without`,
)

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
  const asked = webhookIds.map((webhookId, place) => ({
    webhookId,
    entityType: entityTypes[place]!,
    entityId: entityIds[place]!,
    place,
  }))
  if (asked.length === 0) return { blocked: [], without: [] }
  const { rows } = await blockedStatement(outbox.pool, { asked, webhookIds: [...new Set(webhookIds)] })
  const blocked = new Set<number>(rows[0].places)
  return { blocked: asked.map(({ place }) => blocked.has(place)), without: rows[0].without }
}

/**
 * The webhooks that have rows: a walk along the key that touches one entry for each, and then the earliest in each share.
 * Only what can be taken counts.
 */
const webhooksWithAsideStatement = statement(
  'webhooks_with_aside',
  { shares: 'smallint[]' },
  p => `
with recursive w as (
  (select webhook_id from walhook.deliveries order by webhook_id limit 1)
  union all
  select next.webhook_id from w cross join lateral (
    select d.webhook_id from walhook.deliveries d where d.webhook_id > w.webhook_id order by d.webhook_id limit 1
  ) next
)
select w.webhook_id, ${dueInMs('due.at')} as due_in_ms
from w cross join lateral (
  select least(min(d.due_at), min(b.due_at)) as at
  from unnest(${p.shares}) as s (share)
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
) due`,
)

/** The webhooks that have rows or batches, and in how many ms the first in these shares is due; null: none is. */
export async function webhooksWithAside(
  outbox: Outbox,
  shares: readonly number[],
): Promise<{ webhookId: number; dueInMs: number | null }[]> {
  const { rows } = await webhooksWithAsideStatement(outbox.pool, { shares })
  return rows.map(row => ({ webhookId: row.webhook_id, dueInMs: row.due_in_ms }))
}
