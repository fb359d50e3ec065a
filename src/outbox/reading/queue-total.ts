import { shareCount } from '../../domain/delivery/share.ts'
import type { Outbox } from '../database/database.ts'
import { readCounts } from './queue-depth.ts'

const countedExactly = 10_000
/** Pairs of event and webhook that are examined for an exact count. */
const maxPairs = 50_000
/** An estimate assumes this many different positions of lagging webhooks. */
const samples = 9

/** The pending deliveries of all webhooks. */
export type QueueDepth = {
  /** Pending or in flight, as rows and in the log. */
  readonly deliveries: number
  /** Rows: failed, blocked, requested by hand, or batched. */
  readonly setAside: number
  /** Entities of a webhook with such rows. */
  readonly lanes: number
  readonly deadDeliveries: number
  /** Webhooks that lag, with positions of their own. */
  readonly streamsBehind: number
  /** The age of the oldest pending event of an active webhook, in ms; 0: none. */
  readonly oldestPendingMs: number
}

/**
 * The pending deliveries. Rows, their entities and dead deliveries are exact up to 10,000 each; beyond that rows are
 * Postgres' estimate, and dead ones stay at 10,000. A short backlog in the log is counted, a long one estimated from its
 * length and the average fan-out, so that the cost is bounded.
 */
export async function queueDepth(outbox: Outbox): Promise<QueueDepth> {
  const [rows, log, deadDeliveries] = await Promise.all([
    readRows(outbox),
    readLogDepth(outbox),
    countDead(outbox),
  ])
  const ages = [rows.oldestMs, log.oldestMs].filter(age => age !== null)
  return {
    deliveries: rows.count + log.waiting,
    setAside: rows.count,
    lanes: rows.entities,
    deadDeliveries,
    streamsBehind: log.behind,
    oldestPendingMs: Math.max(0, ...ages),
  }
}

const ageOf = (id: string) => `(extract(epoch from clock_timestamp()) * 1000 - (${id} >> 20))::float8`

/** Beyond 10,000 rows, the entities are extrapolated. */
async function readRows(outbox: Outbox) {
  const { rows } = await outbox.pool.query(`
    with first as materialized (
      select webhook_id, entity_type, entity_id, event_id from walhook.deliveries
      order by webhook_id, entity_type, entity_id, event_id limit ${countedExactly}
    )
    select (select count(*) from first)::int as exact,
           (select count(*) from (select distinct webhook_id, entity_type, entity_id from first) d)::int as entities,
           (select ${ageOf('min(event_id)')} from first join walhook.webhooks w on w.id = webhook_id
            where w.is_active and w.disabled_at is null) as oldest_ms,
           (select reltuples from pg_class where oid = 'walhook.deliveries'::regclass)::float8 as estimate`)
  const { exact, entities, estimate, oldest_ms } = rows[0]
  if (exact < countedExactly) return { count: exact, entities, oldestMs: oldest_ms }
  const count = Math.round(Math.max(exact, estimate))
  return { count, entities: Math.round((entities * count) / exact), oldestMs: oldest_ms }
}

async function countDead(outbox: Outbox): Promise<number> {
  const { rows } = await outbox.pool.query<{ dead: number }>(
    `select count(*)::int as dead
     from (select 1 from walhook.ended_deliveries where state = 'dead' limit ${countedExactly}) t`,
  )
  return rows[0]!.dead
}

/** The dead deliveries of these webhooks, counted up to `max` plus one. */
export async function countDeadOf({ pool }: Outbox, ids: readonly number[], max: number): Promise<number> {
  const { rows } = await pool.query(
    `select count(*)::int as dead
     from (
       select 1 from walhook.ended_deliveries where webhook_id = any($1) and state = 'dead' limit $2
     ) t`,
    [ids, max + 1],
  )
  return rows[0].dead
}

/** The positions, and the length of the log beyond the lowest, bounded. */
const depthStatement = `
with own as (
  select o.webhook_id, o.settled_up_to, w.is_active and w.disabled_at is null as is_active
  from walhook.streams o join walhook.webhooks w on w.id = o.webhook_id
), position as (
  select least(min(settled_up_to), (select min(settled_up_to) from own)) as least,
         least(min(settled_up_to), (select min(settled_up_to) from own where is_active)) as least_active
  from walhook.shares
)
select (select count(distinct webhook_id) from own)::int as behind,
       (select count(*) from walhook.webhooks)::int as webhooks,
       (select count(*) from (
          select 1 from walhook.events where id > position.least order by id limit ${countedExactly}) t)::int as beyond,
       (select ${ageOf('e.id')} from (
          select id from walhook.events where id > position.least_active order by id limit 1) e) as oldest_ms
from position`

async function readLogDepth(
  outbox: Outbox,
): Promise<{ waiting: number; behind: number; oldestMs: number | null }> {
  const { rows } = await outbox.pool.query(depthStatement)
  const { behind, webhooks, beyond, oldest_ms: oldestMs } = rows[0]
  if (beyond === 0) return { waiting: 0, behind, oldestMs: null }
  const isLittle = beyond < countedExactly && beyond * webhooks <= maxPairs
  return { waiting: isLittle ? await countInLog(outbox) : await estimateInLog(outbox), behind, oldestMs }
}

async function countInLog(outbox: Outbox): Promise<number> {
  const { rows } = await outbox.pool.query('select id from walhook.webhooks')
  const counts = await readCounts(
    outbox.pool,
    rows.map(({ id }) => id),
    { max: countedExactly, maxScanned: countedExactly },
  )
  return counts.reduce((sum, { inLog }) => sum + inLog, 0)
}

/**
 * - main: the positions of the main streams
 * - own: an even sample of the positions of lagging webhooks
 * - fan_out: how many active webhooks have the trigger of a recent event, on average
 */
const spreadStatement = `
with recent as (
  select entity_type || '.' || action_type as trigger, count(*) as n
  from (select entity_type, action_type from walhook.events order by id desc limit 1000) e group by 1
), asked as (
  select trigger, count(*) as n
  from walhook.webhooks w cross join unnest(w.triggers) trigger
  where w.is_active and w.disabled_at is null group by 1
)
select array(select settled_up_to from walhook.shares) as main,
       (select percentile_disc(array(select (n - 0.5) / ${samples} from generate_series(1, ${samples}) n))
          within group (order by settled_up_to) from walhook.streams) as own,
       (select count(*) from walhook.streams)::int as own_count,
       (select count(*) from walhook.webhooks where is_active and disabled_at is null)::int as active,
       coalesce((select sum(r.n * a.n) / (select sum(n) from recent) from recent r join asked a using (trigger)), 0)::float8
         as fan_out`

/** Assumes that lagging webhooks want as much as any, and that shares are equal. */
async function estimateInLog(outbox: Outbox): Promise<number> {
  const { rows } = await outbox.pool.query(spreadStatement)
  const { main, own, own_count: ownCount, active, fan_out: fanOut } = rows[0]
  const wantedByOne = fanOut / Math.max(1, active)
  const meanBeyond = async (ids: readonly bigint[]) => {
    let sum = 0
    for (const id of new Set(ids)) {
      const times = ids.filter(each => each === id).length
      sum += times * (await estimateBeyond(outbox, id))
    }
    return sum / ids.length
  }
  const keepingUp = Math.max(0, active - ownCount / shareCount)
  const ofMain = (await meanBeyond(main)) * keepingUp * wantedByOne
  const ofOwn = own === null ? 0 : ((await meanBeyond(own)) / shareCount) * ownCount * wantedByOne
  return Math.round(ofMain + ofOwn)
}

/** Postgres' estimate of the events beyond a position: planned only, not executed. */
async function estimateBeyond(outbox: Outbox, id: bigint): Promise<number> {
  const { rows } = await outbox.pool.query(
    `explain (format json) select 1 from walhook.events where id > ${id}::bigint`,
  )
  return rows[0]['QUERY PLAN'][0].Plan['Plan Rows']
}
