import { parseSnapshot, sees, widenXid } from '../domain/snapshot.ts'
import { sleep } from '../runtime/sleep.ts'
import type { Queryable } from './source.ts'

const longestWaitMs = 100

/**
 * Waits until everybody sees what these transactions (their ids' lower 32 bits) did: the stream may bring one before.
 * In between lies a moment, and with synchronous replication as long as the standby takes to answer. Whatever is read
 * afterwards is not older than the change it belongs to. Throws the signal's reason when that is aborted.
 */
export async function untilSeen(db: Queryable, xids: readonly number[], signal: AbortSignal): Promise<void> {
  for (let waitMs = 1; ; waitMs = Math.min(2 * waitMs, longestWaitMs)) {
    const { rows } = await db.query('select pg_current_snapshot()::text as snapshot')
    const snapshot = parseSnapshot(rows[0].snapshot)
    if (xids.every(xid => sees(snapshot, widenXid(xid, snapshot.xmax)))) return
    await sleep(waitMs, signal)
    signal.throwIfAborted()
  }
}
