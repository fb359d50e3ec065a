import type pg from 'pg'
import { firstIdAt, type TimeId, timeOf } from '../../domain/value/time-id.ts'
import { lockKey } from '../schema/in-schema.ts'

const dayMs = 86_400_000

/** The upper half of a millisecond's counter, which a transaction's events reach last. */
const halfMs = 1n << 19n

/**
 * The millisecond of the next alert's id, whose day must exist: just before the newest event, whose append has committed. Capture
 * only assigns higher ids, so nothing below can become visible later. Without events, a day ago.
 */
export async function timeOfNewAlert(db: pg.Pool | pg.ClientBase): Promise<number> {
  const { rows } = await db.query(
    `select coalesce(max(last_event_id), 0) as id, (extract(epoch from now()) * 1000)::float8 as now_ms from walhook.positions`,
  )
  const { id, now_ms: nowMs } = rows[0]
  return id > 0n ? timeOf(id) - 1 : Math.floor(nowMs) - dayMs
}

/** A unique number of advisory locks: "walh", plus two. */
const advisoryLock = lockKey(0x77616c6a)

/** `count` new alert ids, above earlier alerts and not above the newest event; exclusive until the transaction ends. */
export async function newAlertIds(client: pg.ClientBase, count: number): Promise<TimeId[]> {
  await client.query(`select pg_advisory_xact_lock(${advisoryLock})`)
  const from = firstIdAt(await timeOfNewAlert(client)) + halfMs
  const { rows } = await client.query(
    `select coalesce(max(id), $1::bigint - 1) + 1 as id from walhook.events where id >= $1::bigint and id < $2::bigint`,
    [from, from + halfMs],
  )
  return Array.from({ length: count }, (_, i) => rows[0].id + BigInt(i))
}
