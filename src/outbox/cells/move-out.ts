import type pg from 'pg'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { moment, now, statement } from '../database/statement.ts'
import { bytesOf } from '../log/log.ts'
import { positionIn, waitsInLog } from '../log/waits.ts'
import { formOf, stateAt } from '../log/wanted.ts'

/** Everything of a webhook that moves, as JSON of its tables' rows. */
export type MovedRows = { readonly [table in MovedTable]: string }

/** In the order in which they are stored; each refers to those before it. */
export const movedTables = [
  'webhooks',
  'deliveries',
  'batches',
  'ended_deliveries',
  'skips',
  'incidents',
  'alert_mails',
  'replays',
] as const
type MovedTable = (typeof movedTables)[number]

/** The condition for a webhook's ($1) rows of a table. */
const isOf: { readonly [table in MovedTable]: string } = {
  webhooks: 'id = $1',
  deliveries: 'webhook_id = $1',
  batches: 'webhook_id = $1',
  ended_deliveries: 'webhook_id = $1',
  skips: 'webhook_id = $1',
  incidents: 'webhook_id = $1',
  alert_mails: 'incident_id in (select id from walhook.incidents where webhook_id = $1)',
  replays: 'webhook_id = $1',
}

/**
 * Turns a webhook's pending events in the log, up to an event, into rows. In a transaction that has stopped every holder, when
 * no request of the webhook can be in flight.
 */
const setAsideAll = statement(
  'set_aside_all',
  { webhookId: 'int', upTo: 'bigint' },
  p => `
with ${moment}, positions as materialized (
  select m.share, m.wait_until, p.*
  from walhook.shares m cross join lateral (${positionIn(p.webhookId, 'm.share')}) p
), waiting as materialized (
  select e.share, e.entity_type, e.entity_id, e.id, positions.wait_until, ${formOf('e', 's')},
         row_number() over (partition by e.entity_type, e.entity_id order by e.id) = 1 as is_first
  from walhook.events e
  join positions on positions.share = e.share
  cross join lateral (${stateAt(p.webhookId, 'e.webhooks_version')}) s
  where e.id > (select min(settled_up_to) from positions) and e.id <= ${p.upTo}
    and ${waitsInLog(p.webhookId, { e: 'e', s: 's', settled: 'positions.settled_up_to', maySend: 'positions.may_send_up_to' })}
), due as materialized (
  select w.*, (select previous from walhook.webhooks where id = ${p.webhookId}) as previous,
         case when w.is_first and not exists (
           select 1 from walhook.deliveries d
           where d.webhook_id = ${p.webhookId} and d.entity_type = w.entity_type and d.entity_id = w.entity_id and d.event_id < w.id
           offset 0
         ) then greatest(${now}, w.wait_until) else 'infinity' end as due_at
  from waiting w
)
insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, with_previous, as_new, as_delete, due_at)
select ${p.webhookId}, share, entity_type, entity_id, id, previous, as_new, as_delete, due_at from due
on conflict (webhook_id, entity_type, entity_id, event_id) do nothing`,
)

/** Rows that a holder has taken, and will not send because the webhook is held. */
const freeRows = statement(
  'free_rows_of_webhook',
  { webhookId: 'int' },
  p => `
with ${moment}
update walhook.deliveries set due_at = case when due_at = 'infinity' then ${now} else due_at end, taken_by = null
where webhook_id = ${p.webhookId} and taken_by is not null`,
)
const freeBatches = statement(
  'free_batches_of_webhook',
  { webhookId: 'int' },
  p =>
    `update walhook.batches set taken_by = null where webhook_id = ${p.webhookId} and taken_by is not null`,
)

/** How many rows and pending events a webhook has, at most `max` of each. */
const countStatement = statement(
  'count_to_move',
  { webhookId: 'int', max: 'int' },
  p => `
with positions as materialized (
  select m.share, p.* from walhook.shares m cross join lateral (${positionIn(p.webhookId, 'm.share')}) p
)
select (select count(*) from (select 1 from walhook.deliveries where webhook_id = ${p.webhookId} limit ${p.max}) d)::int
     + (select count(*) from (
          select e.id from walhook.events e
          join positions on positions.share = e.share
          cross join lateral (${stateAt(p.webhookId, 'e.webhooks_version')}) s
          where e.id > (select min(settled_up_to) from positions)
            and ${waitsInLog(p.webhookId, { e: 'e', s: 's', settled: 'positions.settled_up_to', maySend: 'positions.may_send_up_to' })}
          limit ${p.max}
        ) e)::int as count`,
)

export async function countToMove({ pool }: Outbox, webhookId: number, max: number): Promise<number> {
  const { rows } = await countStatement(pool, { webhookId, max })
  return rows[0].count
}

/** Whether a replay for the webhook is running: its versions are of its cell. */
export async function isReplayed(
  db: Pick<pg.ClientBase | pg.Pool, 'query'>,
  webhookId: number,
): Promise<boolean> {
  const { rows } = await db.query(
    `select exists (select 1 from walhook.replays where webhook_id = $1 and state = 'running') as yes`,
    [webhookId],
  )
  return rows[0].yes
}

/**
 * Turns a held webhook's pending events up to an event into rows, and reads everything except its attempts, and what ended before
 * `endedSince`: both may be long, and are copied before.
 */
export async function takeOut(
  client: pg.ClientBase,
  { webhookId, upTo, endedSince }: { webhookId: number; upTo: TimeId; endedSince: Date },
): Promise<MovedRows> {
  await freeRows(client, { webhookId })
  await freeBatches(client, { webhookId })
  await setAsideAll(client, { webhookId, upTo })
  const read: Record<string, string> = {}
  for (const table of movedTables)
    read[table] =
      table === 'ended_deliveries'
        ? await rowsOf(client, table, `${isOf[table]} and ended_at >= $2`, [webhookId, endedSince])
        : await rowsOf(client, table, isOf[table], [webhookId])
  return read as MovedRows
}

const eventsAtOnce = 1_000
const bytesAtOnce = 4_000_000

/** A page of these events (in ascending order of id), at least one, as JSON; and up to which id they are in it, or not stored. */
export async function readEvents(
  db: Pick<pg.ClientBase | pg.Pool, 'query'>,
  ids: readonly TimeId[],
): Promise<{ readonly events: string; readonly upTo: TimeId }> {
  const asked = ids.slice(0, eventsAtOnce)
  const { rows } = await db.query(
    `with sized as materialized (
       select id, sum(bytes) over (order by id) - bytes as bytes_before
       from (select e.id, ${bytesOf} as bytes from walhook.events e where e.id = any($1)) e
     ), page as materialized (
       select e.* from sized cross join lateral (select * from walhook.events where id = sized.id limit 1) e
       where sized.bytes_before < $2
     )
     select (select coalesce(json_agg(page), '[]')::text from page) as events, (select max(id) from page) as last,
            (select count(*) from page) = (select count(*) from sized) as is_all`,
    [asked, bytesAtOnce],
  )
  const { events, last, is_all: isAll } = rows[0]
  return { events, upTo: isAll ? asked.at(-1)! : last }
}

/** Rows of a table as JSON, which keeps every value as Postgres writes it. */
export async function rowsOf(
  db: Pick<pg.ClientBase | pg.Pool, 'query'>,
  table: string,
  where: string,
  values: readonly unknown[],
): Promise<string> {
  const { rows } = await db.query(
    `select coalesce(json_agg(t), '[]')::text as json from (select * from walhook.${table} where ${where}) t`,
    [...values],
  )
  return rows[0].json
}
