import type { Lsn } from '../../domain/value/lsn.ts'
import { describeError, type Log } from '../../runtime/log.ts'
import type { Source } from './source.ts'

/** The confirmed WAL before another request, and the shortest interval. */
const releaseBytes = 4_194_304n
const releaseIntervalMs = 1_000

/**
 * Makes Postgres release confirmed WAL sooner. A slot's `restart_lsn` only moves to a record of running transactions below
 * its confirmed position, which Postgres writes every 15 seconds: at 4 MB/s, 60 MB. This requests a record of about 100 bytes
 * per 4 MB confirmed, at most once a second; a record does not cause another, so an idle source stays idle.
 *
 * Needs PostgreSQL 16, and the right to execute `pg_log_standby_snapshot`.
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

/** Whether another record is due, `confirmedBytes` of WAL and `sinceMs` after the last one. */
export function isReleaseDue(confirmedBytes: bigint, sinceMs: number): boolean {
  return confirmedBytes >= releaseBytes && sinceMs >= releaseIntervalMs
}

async function readMayLogSnapshot(source: Source): Promise<boolean> {
  const { rows } = await source.pool.query(`select ${mayLogSnapshot} is true as may`)
  return rows[0].may === 't'
}

/** Whether this role may execute it; null: the server lacks it. */
export const mayLogSnapshot = `has_function_privilege(to_regprocedure('pg_log_standby_snapshot()'), 'execute')`
