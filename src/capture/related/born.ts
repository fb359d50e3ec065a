import { parseSnapshot, type Snapshot, sees, widenXid } from '../../domain/value/snapshot.ts'
import type { Queryable } from '../source/source.ts'

/** Whether the stream has brought the transaction that wrote a row, by the row's `xmin`. False where that is not known. */
export type IsBrought = (xmin: string) => boolean

const mostRemembered = 10_000
/** What Postgres writes by itself has a lower one. */
const firstXid = 3

/**
 * Knows of rows that are read whether the stream has brought them already. One that it has not brought may be new: then its entity
 * is not told as changed before it is told as new.
 *
 * What a snapshot sees is brought once the stream has passed a mark that was set after it: a fence. What came since is remembered
 * by its transaction. Rows of subtransactions, and of what came before the first fence, are known by the next fence only.
 *
 * `setMark` sets a mark; `passed` resolves once the stream has brought it.
 */
export function createBorn(db: Queryable, setMark: () => Promise<{ passed: Promise<void> }>) {
  const brought = new Set<number>()
  let fence: Snapshot | null = null
  let isOnItsWay = false

  /** Resolves once the mark is set. One that fails leaves the fence where it is: the next reading that needs it tries again. */
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
    /** Takes note of a transaction that the stream has brought, by the lower 32 bits of its id. */
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
