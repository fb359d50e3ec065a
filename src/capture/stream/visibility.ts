import { parseSnapshot, sees, widenXid } from '../../domain/value/snapshot.ts'
import { sleep } from '../../runtime/sleep.ts'
import type { Queryable } from '../source/source.ts'

/**
 * Remembers the stream's transactions until a snapshot sees them: a transaction is in the WAL, and may be stored and sent,
 * before it is visible; with synchronous replication, until the standby answers.
 */
export function createReceived() {
  const received = new Set<number>()
  return {
    /** Notes a transaction, by the lower 32 bits of its id. */
    note: (xid: number): unknown => received.add(xid),
    size: () => received.size,
    /** The transactions that a statement with this snapshot (`pg_current_snapshot()`) does not see, by id. */
    unseen(text: string): bigint[] {
      const snapshot = parseSnapshot(text)
      const found: bigint[] = []
      for (const id of received) {
        const xid = widenXid(id, snapshot.xmax)
        if (sees(snapshot, xid)) received.delete(id)
        else found.push(xid)
      }
      return found
    },
  }
}

const maxRemembered = 100_000

/**
 * Decides whether a table read shows everything that the stream has delivered, to any process. It remembers transactions from
 * `begin` on; earlier ones had begun before, so those open then are waited for, once.
 */
export function createVisibility(db: Queryable) {
  let received: ReturnType<typeof createReceived> | null = null
  /** Every transaction that is not remembered has a lower id; null: unknown. */
  let fence: bigint | null = null

  return {
    /** Notes a transaction of the stream, by the lower 32 bits of its id. */
    note(xid: number): void {
      if (!received) return
      received.note(xid)
      if (received.size() <= maxRemembered) return
      received = createReceived()
      fence = null
    },

    /** To be awaited before each reading. */
    async begin(): Promise<void> {
      received ??= createReceived()
      if (fence !== null) return
      // This does not wait for synchronous replication.
      const { rows } = await db.query(
        `select set_config('synchronous_commit', 'local', true), pg_current_xact_id()::text as xid`,
      )
      fence = BigInt(rows[0].xid)
    },

    /**
     * The ids of transactions that the stream may have delivered and a reading may not have seen; null: unknown. `text`: its
     * `pg_current_snapshot()`.
     */
    unseen(text: string): readonly bigint[] | null {
      if (!received || fence === null) return null
      const { xmin, running } = parseSnapshot(text)
      if (xmin >= fence) fence = 0n
      const before = fence
      const found = received.unseen(text)
      return [...found, ...[...running].filter(xid => xid < before && !found.includes(xid))]
    },

    /** No reading for now: nothing is remembered. */
    end(): void {
      received = null
      fence = null
    },
  }
}

/** Thrown if the stream ended before a part of it was visible. */
export class StreamOver extends Error {}

const longestWaitMs = 100

/**
 * Waits until these transactions (the lower 32 bits of their ids) are visible, which the stream may bring earlier; the
 * catalogue is then at least as new. Throws `StreamOver` when `signal` is aborted.
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
