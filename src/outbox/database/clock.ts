import { timeOf } from '../../domain/value/time-id.ts'
import type { Outbox } from './database.ts'
import { moment, now } from './statement.ts'

/** The outbox's present time, in ms since 1970. */
export async function databaseNow(outbox: Pick<Outbox, 'pool'>): Promise<number> {
  const { rows } = await outbox.pool.query(
    `select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`,
  )
  return rows[0].ms
}

/**
 * The clock of the outbox's server. All stored and compared times and ids use it: two hosts' clocks may differ by days, and
 * only the database is shared.
 */
export type Clock = {
  nowMs(): number
  /** Reads the database's clock again. Returns how far this host's own is ahead, in ms. */
  adjust(): Promise<number>
}

/** The host's own clock is corrected by small amounts all the time. */
const correctionMs = 1_000

/**
 * Opens a clock; it runs locally between two adjustments, by the monotonic clock. That stands still while a machine is suspended: if
 * the host's clock has moved meanwhile, the next query adjusts it.
 */
export async function openClock(outbox: Pick<Outbox, 'pool'>): Promise<Clock> {
  let offsetMs = 0
  const hostOffset = () => Date.now() - performance.now()
  let hostOffsetMs = 0
  async function adjust() {
    hostOffsetMs = hostOffset()
    const askedMs = performance.now()
    const databaseMs = await databaseNow(outbox)
    const answeredMs = performance.now()
    // Half of the round trip has passed since.
    offsetMs = databaseMs - (askedMs + answeredMs) / 2
    return Date.now() - Math.floor(performance.now() + offsetMs)
  }
  function nowMs() {
    // A failed one is for the next periodic one.
    if (Math.abs(hostOffset() - hostOffsetMs) > correctionMs) adjust().catch(() => {})
    return Math.floor(performance.now() + offsetMs)
  }
  await adjust()
  return { nowMs, adjust }
}

/**
 * Moves the retention clock towards the database's clock, by at most `stepMs`: a clock that jumped ahead costs one step, not
 * the whole log. It starts at the newest event, and catches up in steps after a long stop.
 */
const advanceStatement = `
with ${moment}, step as materialized (
  select least(moment.now, c.reached_at + $1::float8 * interval '1 ms') as reached_at from moment cross join walhook.retention_clock c
), moved as (
  update walhook.retention_clock c set reached_at = step.reached_at from step returning 1
)
select (extract(epoch from step.reached_at) * 1000)::float8 as at_ms, (extract(epoch from ${now}) * 1000)::float8 as now_ms
from step cross join moved`

const startStatement = `
with ${moment}, head as (select to_timestamp((nullif(max(last_event_id), 0) >> 20) / 1000.0) as at from walhook.positions)
insert into walhook.retention_clock (reached_at)
select least(moment.now, coalesce(head.at, moment.now)) from moment cross join head
on conflict (is_only) do nothing`

/** The retention clock, and how far it is behind the database's. */
export async function advanceRetentionClock(
  outbox: Pick<Outbox, 'pool'>,
  stepMs: number,
): Promise<{ atMs: number; behindMs: number }> {
  const { rowCount } = await outbox.pool.query(startStatement)
  const { rows } = await outbox.pool.query(advanceStatement, [rowCount === 0 ? stepMs : 0])
  return { atMs: rows[0].at_ms, behindMs: rows[0].now_ms - rows[0].at_ms }
}

/**
 * The time in the newest event's id, in ms since 1970; null: none. Ids only rise, so after a clock was ahead they stay in the
 * future for a while.
 */
export async function newestIdTime(outbox: Pick<Outbox, 'pool'>): Promise<number | null> {
  const { rows } = await outbox.pool.query('select max(last_event_id) as id from walhook.positions')
  return rows[0].id === null ? null : timeOf(rows[0].id)
}
