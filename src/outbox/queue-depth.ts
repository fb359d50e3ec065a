import type { Outbox } from './database.ts'

const countedExactly = 10_000

/**
 * How many deliveries wait, how many lanes hold them, and how many deliveries are dead: exact up to 10,000 each. What
 * waits beyond that is Postgres's own estimate, and 10,000 dead stand for any greater number, so that asking stays
 * cheap however long the queue is.
 */
export async function queueDepth(
  outbox: Outbox,
): Promise<{ deliveries: number; lanes: number; deadDeliveries: number }> {
  const [deliveries, lanes, deadDeliveries] = await Promise.all([
    countRows(outbox, 'walhook.deliveries'),
    countRows(outbox, 'walhook.lanes'),
    countDead(outbox),
  ])
  return { deliveries, lanes, deadDeliveries }
}

async function countRows(outbox: Outbox, table: 'walhook.deliveries' | 'walhook.lanes'): Promise<number> {
  const { rows } = await outbox.pool.query<{ exact: number; estimate: number }>(
    `select (select count(*) from (select from ${table} limit ${countedExactly}) t)::int as exact,
            (select reltuples from pg_class where oid = '${table}'::regclass)::float8 as estimate`,
  )
  const { exact, estimate } = rows[0]!
  return exact < countedExactly ? exact : Math.max(exact, estimate)
}

async function countDead(outbox: Outbox): Promise<number> {
  const { rows } = await outbox.pool.query<{ dead: number }>(
    `select count(*)::int as dead
     from (select from walhook.ended_deliveries where state = 'dead' limit ${countedExactly}) t`,
  )
  return rows[0]!.dead
}

/** Something that is counted up to a bound only: where `isExact` is false, there are at least as many. */
export type Count = { readonly count: number; readonly isExact: boolean }

/**
 * What waits for a webhook, at most so many rows, as a subquery of both expressions. In the order of the primary key, so that
 * they are read from it: where any will do, Postgres would rather look through all queues until it has found enough, and
 * where there are none it looks through everything.
 */
export const waitingFor = (webhookId: string, most: string) => `
select from walhook.deliveries where webhook_id = ${webhookId}
order by webhook_id, entity_type, entity_id, event_id limit ${most}`

/** How many deliveries of a webhook wait or are in flight, counted up to `most`. */
export async function countWaiting(outbox: Outbox, webhookId: number, most: number): Promise<Count> {
  const { rows } = await outbox.pool.query<{ n: number }>(
    `select count(*)::int as n from (${waitingFor('$1', '$2')}) t`,
    [webhookId, most + 1],
  )
  const { n } = rows[0]!
  return { count: Math.min(n, most), isExact: n <= most }
}
