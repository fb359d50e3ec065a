import { parseSnapshot, sees, widenXid } from '../../domain/value/snapshot.ts'
import { sleep } from '../../runtime/sleep.ts'
import type { Queryable } from '../source/source.ts'

/**
 * Remembers the transactions that the stream has brought until a snapshot has seen them. It need not at once: a
 * transaction is in the WAL, and may be stored and sent, before others see it. In between lies a moment, and with
 * synchronous replication as long as the standby takes to answer.
 */
export function createBrought() {
  const brought = new Set<number>()
  return {
    /** Takes note of a transaction by the lower 32 bits of its id. */
    note: (xid: number): unknown => brought.add(xid),
    size: () => brought.size,
    /** Those that a statement with this snapshot does not see, by their ids. `text`: its `pg_current_snapshot()`. */
    unseen(text: string): bigint[] {
      const snapshot = parseSnapshot(text)
      const found: bigint[] = []
      for (const id of brought) {
        const xid = widenXid(id, snapshot.xmax)
        if (sees(snapshot, xid)) brought.delete(id)
        else found.push(xid)
      }
      return found
    },
  }
}

const maxRemembered = 100_000

/**
 * Tells whether what was read from a table already shows everything that the stream has brought, to whatever process.
 *
 * Remembered are the transactions that it brings from `begin` on. Of what it brought before nothing is known but that it
 * had begun before `begin`: those that were open then are waited for, once.
 */
export function createVisibility(db: Queryable) {
  let brought: ReturnType<typeof createBrought> | null = null
  /** Everything that is not remembered has a lower id than this; null: not known yet. */
  let fence: bigint | null = null

  return {
    /** Takes note of a transaction that the stream has brought, by the lower 32 bits of its id. */
    note(xid: number): void {
      if (!brought) return
      brought.note(xid)
      if (brought.size() <= maxRemembered) return
      brought = createBrought()
      fence = null
    },

    /** To be called, and awaited, before each reading. */
    async begin(): Promise<void> {
      brought ??= createBrought()
      if (fence !== null) return
      // Whatever synchronous replication is waiting for, this does not wait for it.
      const { rows } = await db.query(
        `select set_config('synchronous_commit', 'local', true), pg_current_xact_id()::text as xid`,
      )
      fence = BigInt(rows[0].xid)
    },

    /**
     * The ids of transactions that a reading may not have seen, though the stream may have brought them; null where
     * that can't be told. `text`: its `pg_current_snapshot()`.
     */
    unseen(text: string): readonly bigint[] | null {
      if (!brought || fence === null) return null
      const { xmin, running } = parseSnapshot(text)
      if (xmin >= fence) fence = 0n
      const before = fence
      const found = brought.unseen(text)
      return [...found, ...[...running].filter(xid => xid < before && !found.includes(xid))]
    },

    /** Nothing is read for now: nothing needs to be remembered. */
    end(): void {
      brought = null
      fence = null
    },
  }
}

/** Thrown where the stream has ended while something in it was not to be seen yet. */
export class StreamOver extends Error {}

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
