import { parseSnapshot, sees, widenXid } from '../domain/snapshot.ts'
import type { Queryable } from './source.ts'

const maxRemembered = 100_000

/**
 * Tells whether what was read from a table already shows everything that the stream has brought. It need not: a
 * transaction is in the WAL, and may be stored and sent, before others see it. In between lies a moment, and with
 * synchronous replication as long as the standby takes to answer.
 *
 * Remembered are the transactions that the stream brings from `begin` on, until a snapshot has seen them. Of what it
 * brought before (to this process or to another) nothing is known but that it had begun before `begin`: those
 * that were open then are waited for, once.
 */
export function createVisibility(db: Queryable) {
  let brought: Set<number> | null = null
  /** Everything that is not remembered has a lower id than this; null: not known yet. */
  let fence: bigint | null = null

  return {
    /** Takes note of a transaction that the stream has brought, by the lower 32 bits of its id. */
    note(xid: number): void {
      if (!brought) return
      brought.add(xid)
      if (brought.size <= maxRemembered) return
      brought = new Set()
      fence = null
    },

    /** To be called, and awaited, before each reading. */
    async begin(): Promise<void> {
      brought ??= new Set()
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
      const snapshot = parseSnapshot(text)
      if (snapshot.xmin >= fence) fence = 0n
      const found: bigint[] = []
      for (const id of brought) {
        const xid = widenXid(id, snapshot.xmax)
        if (sees(snapshot, xid)) brought.delete(id)
        else found.push(xid)
      }
      const before = fence
      return [...found, ...[...snapshot.running].filter(xid => xid < before && !found.includes(xid))]
    },

    /** Nothing is read for now: nothing needs to be remembered. */
    end(): void {
      brought = null
      fence = null
    },
  }
}

export type Visibility = ReturnType<typeof createVisibility>
