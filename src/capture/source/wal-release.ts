import type { Lsn } from '../../domain/value/lsn.ts'
import { describeError, type Log } from '../../runtime/log.ts'
import type { Source } from './source.ts'

/** How much WAL is confirmed before Postgres is asked again, and how often it is asked at the most. */
const releaseBytes = 4_194_304n
const releaseIntervalMs = 1_000

/**
 * Lets Postgres give up the WAL that is confirmed. A slot holds WAL back from its `restart_lsn` on, and that moves only
 * to a place where the running transactions are on record, and only once the slot is confirmed beyond it. Postgres
 * writes that record every 15 seconds: at 4 MB/s, 60 MB. Here it is asked to write one, of about 100 bytes, as soon as
 * 4 MB were confirmed, at most once in a second. What follows from a record is its own confirmation, so that one
 * never leads to another: an idle source stays idle.
 *
 * PostgreSQL 16 and newer, where the role may execute `pg_log_standby_snapshot`; else nothing happens.
 * https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-SNAPSHOT-SYNCHRONIZATION
 */
export function createWalRelease(options: { source: Source; nowMs: () => number; log: Log }) {
  const { source, nowMs, log } = options
  let lastLsn: Lsn | null = null
  let lastMs = Number.NEGATIVE_INFINITY
  let mayAsk: Promise<boolean> | null = null

  async function ask(): Promise<void> {
    try {
      mayAsk ??= readMayLogSnapshot(source)
      if (await mayAsk) await source.pool.query('select pg_log_standby_snapshot()')
    } catch (error) {
      mayAsk = null
      log.debug('capture.release_failed', { reason: describeError(error) })
    }
  }

  return {
    /** To be called after each confirmation of the slot. */
    onConfirmed(lsn: Lsn): void {
      lastLsn ??= lsn
      if (!isReleaseDue(lsn - lastLsn, nowMs() - lastMs)) return
      lastLsn = lsn
      lastMs = nowMs()
      void ask()
    },
  }
}

/** Whether it is time for another record, `confirmedBytes` of WAL and `sinceMs` after the last one. */
export function isReleaseDue(confirmedBytes: bigint, sinceMs: number): boolean {
  return confirmedBytes >= releaseBytes && sinceMs >= releaseIntervalMs
}

async function readMayLogSnapshot(source: Source): Promise<boolean> {
  const { rows } = await source.pool.query(`select ${mayLogSnapshot} is true as may`)
  return rows[0].may === 't'
}

/** Whether this role may execute it; null where the server does not have it. */
export const mayLogSnapshot = `has_function_privilege(to_regprocedure('pg_log_standby_snapshot()'), 'execute')`
