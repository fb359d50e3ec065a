import { parseSnapshot, type Snapshot, sees, widenXid } from '../../domain/value/snapshot.ts'
import type { Queryable } from '../source/source.ts'

/** Whether the stream has brought the transaction that wrote a row, by its `xmin`; false if unknown. */
export type IsBrought = (xmin: string) => boolean

const mostRemembered = 10_000
/** Postgres' own transactions have lower ids. */
const firstXid = 3

/**
 * Knows whether the stream has brought rows that are read. Otherwise a row may be new, and its entity's `update` must not
 * precede its `new`.
 *
 * Everything in a snapshot is brought once the stream passes a mark set after it: a fence. Later transactions are remembered
 * by id. Rows of subtransactions, and from before the first fence, need the next fence.
 *
 * `setMark` sets a mark; `passed` resolves once the stream has brought it.
 */
export function createBorn(db: Queryable, setMark: () => Promise<{ passed: Promise<void> }>) {
  const brought = new Set<number>()
  let fence: Snapshot | null = null
  let isOnItsWay = false

  /** Resolves once the mark is set. On failure the fence stays: the next reading that needs it retries. */
  async function renew(): Promise<void> {
    if (isOnItsWay) return
    isOnItsWay = true
    try {
      const { rows } = await db.query('select pg_current_snapshot()::text as snapshot')
      const seen = parseSnapshot(rows[0].snapshot)
      const { passed } = await setMark()
      void passed.then(() => {
        fence = seen
        for (const xid of brought) if (sees(seen, widenXid(xid, seen.xmax))) brought.delete(xid)
        isOnItsWay = false
      })
    } catch {
      isOnItsWay = false
    }
  }

  return {
    renew,
    /** Notes a transaction of the stream, by the lower 32 bits of its id. */
    note(xid: number): void {
      if (brought.size >= mostRemembered) brought.clear()
      brought.add(xid >>> 0)
      if (brought.size * 2 === mostRemembered) void renew()
    },
    isBrought(xmin: string): boolean {
      const xid = Number(xmin)
      if (xid < firstXid || brought.has(xid)) return true
      if (fence !== null && sees(fence, widenXid(xid, fence.xmax))) return true
      void renew()
      return false
    },
  }
}

export type Born = ReturnType<typeof createBorn>
