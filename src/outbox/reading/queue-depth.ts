import type pg from 'pg'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { isDelivered, isEnded, isSetAside, isSkipped, placesOf } from '../log/waits.ts'
import { stateAt, wantedColumns, wants } from '../log/wanted.ts'

/** Something that is counted up to a bound only: where `isExact` is false, there are at least as many. */
export type Count = { readonly count: number; readonly isExact: boolean }

/** Raw events that are looked at to count what waits, for each delivery that would be counted. */
const lookedAtPerCounted = 2

/**
 * Rows of a webhook, at most so many, as a subquery of both expressions. In the order of the primary key, so that they
 * are read from it: where any will do, Postgres would rather look through all queues until it has found enough, and where
 * there are none it looks through everything.
 */
const rowsOf = (webhookId: string, most: string) => `
select 1 from walhook.deliveries where webhook_id = ${webhookId}
order by webhook_id, entity_type, entity_id, event_id limit ${most}`

/**
 * For each of the webhooks $1: how many rows it has and how many events wait for it in the log, each up to $2 and one
 * more; `looked_at` of the log, $3 at most. What has a row is not counted twice, and what was delivered, ended or
 * cancelled ahead of the place is not counted at all; that is asked only where there is any.
 */
const countsStatement = `
select w.id, rows.n as rows, log.n as ahead, log.looked_at
from unnest($1::int[]) as w (id)
cross join lateral (select count(*)::int as n from (${rowsOf('w.id', '$2::int + 1')}) t) rows
cross join lateral (${placesOf('w.id')}) p
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

/** Of each webhook: its rows and what waits in the log, where `lookAt` events of it are looked at. */
export async function readCounts(
  db: Pick<pg.Pool | pg.ClientBase, 'query'>,
  webhookIds: readonly number[],
  { most, lookAt }: { most: number; lookAt: number },
): Promise<{ id: number; rows: number; ahead: number; lookedAt: number }[]> {
  const { rows } = await db.query(countsStatement, [webhookIds, most, lookAt])
  return rows.map(fields<{ id: number; rows: number; ahead: number; lookedAt: number }>)
}

/**
 * How many deliveries of each webhook wait or are in flight, counted up to `most`: those that are set aside, and the
 * events that it wants beyond its place in the log. Where so many others lie in between that not all are looked at, there
 * may be more than are counted.
 */
export async function countWaitingOf(
  outbox: Outbox,
  webhookIds: readonly number[],
  most: number,
): Promise<Map<number, Count>> {
  const lookAt = most * lookedAtPerCounted
  const counts = await readCounts(outbox.pool, webhookIds, { most, lookAt })
  return new Map(
    counts.map(({ id, rows, ahead, lookedAt }) => {
      const isExact = rows + ahead <= most && lookedAt < lookAt
      return [id, { count: Math.min(rows + ahead, most), isExact }]
    }),
  )
}

/** How many deliveries of a webhook wait or are in flight, counted up to `most`. */
export async function countWaiting(outbox: Outbox, webhookId: number, most: number): Promise<Count> {
  return (await countWaitingOf(outbox, [webhookId], most)).get(webhookId)!
}

/**
 * How far webhook `w` is behind, as an expression: its rows, and the events beyond its least place, whether it wants them
 * or not; each up to so many. Cheap enough to be asked of every webhook.
 */
export const distanceOf = (most: string) => `(
  (select count(*) from (${rowsOf('w.id', most)}) t)
  + (select count(*) from (
      select 1 from walhook.events where id > (select p.least from (${placesOf('w.id')}) p) order by id limit ${most}) t)
)::int`
