import { parseSnapshot, sees, widenXid } from '../../domain/value/snapshot.ts'
import { sleep } from '../../runtime/sleep.ts'
import type { Queryable } from '../source/source.ts'
import { StreamOver } from './missing.ts'

const longestWaitMs = 100

/**
 * Waits until everybody sees what these transactions (their ids' lower 32 bits) did, the stream may bring one before;
 * the catalogue is then not older than they are. Throws `StreamOver` when `signal` is aborted meanwhile.
 */
export async function untilSeen(
  db: Queryable,
  xids: readonly number[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let waitMs = 1; ; waitMs = Math.min(2 * waitMs, longestWaitMs)) {
    const { rows } = await db.query('select pg_current_snapshot()::text as snapshot')
    const snapshot = parseSnapshot(rows[0].snapshot)
    if (xids.every(xid => sees(snapshot, widenXid(xid, snapshot.xmax)))) return
    await sleep(waitMs, signal)
    if (signal?.aborted)
      throw new StreamOver('the stream has ended while a transaction of it was not to be seen yet')
  }
}
