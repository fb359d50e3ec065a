import type pg from 'pg'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { isDelivered, isEnded, isSetAside, isSkipped, positionsOf } from '../log/waits.ts'
import { stateAt, wantedColumns, wants } from '../log/wanted.ts'

/** A bounded count: if `isExact` is false, it is a lower bound. */
export type Count = { readonly count: number; readonly isExact: boolean }

/** Events scanned per counted delivery. */
const lookedAtPerCounted = 2

/**
 * At most `max` rows of a webhook, as a subquery. Ordered by the primary key so that it is read: otherwise Postgres would
 * scan all queues.
 */
const rowsOf = (webhookId: string, max: string) => `
select 1 from walhook.deliveries where webhook_id = ${webhookId}
order by webhook_id, entity_type, entity_id, event_id limit ${max}`

/**
 * For each of the webhooks $1: its rows, and its pending events in the log, each up to $2 plus one; scans $3 events. Events
 * with a row, and delivered, ended or cancelled ones beyond the position are not counted; that is checked only if there are
 * any.
 */
const countsStatement = `
select w.id, rows.n as rows, log.n as in_log, log.looked_at
from unnest($1::int[]) as w (id)
cross join lateral (select count(*)::int as n from (${rowsOf('w.id', '$2::int + 1')}) t) rows
cross join lateral (${positionsOf('w.id')}) p
cross join lateral (
  select exists (select 1 from walhook.skips where webhook_id = w.id and up_to > p.least) as skips,
         exists (select 1 from walhook.ended_deliveries where webhook_id = w.id and event_id > p.least) as ended
) has
cross join lateral (
  select count(*)::int as looked_at, (count(*) filter (where case
    when e.id <= p.settled[e.share + 1] or not ${wants('e', 's')} then false
    when has.skips and ${isSkipped('w.id', 'e')} then false
    when has.ended and ${isEnded('w.id', 'e')} then false
    when rows.n > 0 and ${isSetAside('w.id', 'e')} then false
    when e.id <= p.may_send[e.share + 1] and ${isDelivered('w.id', 'e')} then false
    else true
  end))::int as n
  from (
    select ${wantedColumns}
    from walhook.events where id > p.least order by id limit $3
  ) e
  left join lateral (${stateAt('w.id', 'e.webhooks_version')}) s on true
) log`

/** Rows and pending events of each webhook, scanning `maxScanned` events. */
export async function readCounts(
  db: Pick<pg.Pool | pg.ClientBase, 'query'>,
  webhookIds: readonly number[],
  { max, maxScanned }: { max: number; maxScanned: number },
): Promise<{ id: number; rows: number; inLog: number; lookedAt: number }[]> {
  const { rows } = await db.query(countsStatement, [webhookIds, max, maxScanned])
  return rows.map(fields<{ id: number; rows: number; inLog: number; lookedAt: number }>)
}

/**
 * How many deliveries of each webhook are pending or in flight, counted up to `max`: rows, and wanted events beyond its
 * position. If unwanted ones exceed the scan, there may be more.
 */
export async function countWaitingOf(
  outbox: Outbox,
  webhookIds: readonly number[],
  max: number,
): Promise<Map<number, Count>> {
  const maxScanned = max * lookedAtPerCounted
  const counts = await readCounts(outbox.pool, webhookIds, { max, maxScanned })
  return new Map(
    counts.map(({ id, rows, inLog, lookedAt }) => {
      const isExact = rows + inLog <= max && lookedAt < maxScanned
      return [id, { count: Math.min(rows + inLog, max), isExact }]
    }),
  )
}

/** How many deliveries of a webhook are pending or in flight, counted up to `max`. */
export async function countWaiting(outbox: Outbox, webhookId: number, max: number): Promise<Count> {
  return (await countWaitingOf(outbox, [webhookId], max)).get(webhookId)!
}

/**
 * A webhook's distance from the head, as an expression: its rows, and all events beyond its lowest position, each bounded.
 * Cheap enough for every webhook.
 */
export const distanceOf = (max: string) => `(
  (select count(*) from (${rowsOf('w.id', max)}) t)
  + (select count(*) from (
      select 1 from walhook.events where id > (select p.least from (${positionsOf('w.id')}) p) order by id limit ${max}) t)
)::int`
