import { parseSnapshot, type Snapshot, sees, widenXid } from '../../domain/value/snapshot.ts'
import type { Queryable } from '../source/source.ts'

/** Whether the stream has delivered the transaction that wrote a row, by its `xmin`; false if unknown. */
export type IsReceived = (xmin: string) => boolean

const maxRemembered = 10_000
/** Postgres' own transactions have lower ids. */
const firstXid = 3

/**
 * Knows whether the stream has delivered rows that are read. Otherwise a row may be new, and its entity's `update` must not
 * precede its `new`.
 *
 * Everything in a snapshot counts as received once the stream passes a mark set after it: a fence. Later transactions are remembered
 * by id. Rows of subtransactions, and from before the first fence, need the next fence.
 *
 * `setMark` sets a mark; `passed` resolves once the stream has delivered it.
 */
export function createReceivedRows(db: Queryable, setMark: () => Promise<{ passed: Promise<void> }>) {
  const received = new Set<number>()
  let fence: Snapshot | null = null
  let isRenewing = false

  /** Resolves once the mark is set. On failure the fence stays: the next reading that needs it retries. */
  async function renew(): Promise<void> {
    if (isRenewing) return
    isRenewing = true
    try {
      const { rows } = await db.query('select pg_current_snapshot()::text as snapshot')
      const seen = parseSnapshot(rows[0].snapshot)
      const { passed } = await setMark()
      void passed.then(() => {
        fence = seen
        for (const xid of received) if (sees(seen, widenXid(xid, seen.xmax))) received.delete(xid)
        isRenewing = false
      })
    } catch {
      isRenewing = false
    }
  }

  return {
    renew,
    /** Notes a transaction of the stream, by the lower 32 bits of its id. */
    note(xid: number): void {
      if (received.size >= maxRemembered) received.clear()
      received.add(xid >>> 0)
      if (received.size * 2 === maxRemembered) void renew()
    },
    isReceived(xmin: string): boolean {
      const xid = Number(xmin)
      if (xid < firstXid || received.has(xid)) return true
      if (fence !== null && sees(fence, widenXid(xid, fence.xmax))) return true
      void renew()
      return false
    },
  }
}

export type ReceivedRows = ReturnType<typeof createReceivedRows>
