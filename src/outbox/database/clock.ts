import { timeOf } from '../../domain/value/time-id.ts'
import type { Outbox } from './database.ts'

/** The outbox's moment now, in ms since 1970. */
export async function databaseNow(outbox: Pick<Outbox, 'pool'>): Promise<number> {
  const { rows } = await outbox.pool.query(
    `select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`,
  )
  return rows[0].ms
}

/**
 * The clock of the outbox's server, as this process knows it. Whatever is stored, compared with what is stored, or made into an
 * id has its time from here: the clocks of two hosts may differ by days, and all that they share is the database.
 */
export type Clock = {
  nowMs(): number
  /** Asks the database again. Returns how far this host's own clock is ahead, in ms. */
  adjust(): Promise<number>
}

/** Opens a clock; between two adjustments it runs on by itself. */
export async function openClock(outbox: Pick<Outbox, 'pool'>): Promise<Clock> {
  let offsetMs = 0
  async function adjust() {
    const askedMs = performance.now()
    const databaseMs = await databaseNow(outbox)
    const answeredMs = performance.now()
    // Half of the way is gone since.
    offsetMs = databaseMs - (askedMs + answeredMs) / 2
    return Date.now() - nowMs()
  }
  const nowMs = () => Math.floor(performance.now() + offsetMs)
  await adjust()
  return { nowMs, adjust }
}

/**
 * Moves the moment by which days are dropped towards the database's now, by `stepMs` at most: a clock that has jumped ahead
 * costs a step, and not the whole log. It starts at the newest event. After a long stop it catches up step by step.
 */
const advanceStatement = `
insert into walhook.retention_clock as c (reached_at)
select least(now(), coalesce(to_timestamp((max(last_event_id) >> 20) / 1000.0), now())) from walhook.positions
on conflict (is_only) do update set reached_at = least(now(), c.reached_at + $1::float8 * interval '1 ms')
returning (extract(epoch from reached_at) * 1000)::float8 as at_ms, (extract(epoch from now()) * 1000)::float8 as now_ms`

/** By which moment days are dropped, and how far that is behind the database's clock. */
export async function advanceRetentionClock(
  outbox: Pick<Outbox, 'pool'>,
  stepMs: number,
): Promise<{ atMs: number; behindMs: number }> {
  const { rows } = await outbox.pool.query(advanceStatement, [stepMs])
  return { atMs: rows[0].at_ms, behindMs: rows[0].now_ms - rows[0].at_ms }
}

/**
 * The time that the newest event's id says, in ms since 1970; null: there is none. Ids only rise, so after a clock was
 * ahead they stay there until the time has come.
 */
export async function newestIdTime(outbox: Pick<Outbox, 'pool'>): Promise<number | null> {
  const { rows } = await outbox.pool.query('select max(last_event_id) as id from walhook.positions')
  return rows[0].id === null ? null : timeOf(rows[0].id)
}
