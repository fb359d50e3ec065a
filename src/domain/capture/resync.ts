import type { FanOut } from './fan-out.ts'
import { describePageReason, type PageCode } from './page-failures.ts'

/** A partition, and the table (`tableKey`) that it was attached to. */
export type Part = { readonly tableName: string; readonly oid: number; readonly name: string }

/**
 * The resync of one entity type, which ends a gap during capture. It can also be of the rows of one new partition, or of the
 * entities that show one changed row.
 *
 *   waiting    not begun. Ends when its first page is stored.
 *   running    phase `rows`: the rows up to `afterKey` are sent. Phase `deletes`: the entities that receivers know up to
 *              `afterKey` were looked for. After a crash, the next capturing process continues there.
 *   done       every row that existed at the beginning is sent, and a delete for everything that is gone (a partition or a
 *              changed row has no deletes). The last resync of a gap ends the gap.
 *   cancelled  the mapping no longer has the entity.
 *
 * While it is open, `reason` says what it waits for, if anything. A table that can't be read is waited for, and never taken
 * for empty.
 */
export type Resync = {
  readonly id: number
  readonly slotName: string
  readonly entityType: string
  /** The partition to resync; null: everything. */
  readonly part: Part | null
  /** The changed row whose entities to resync; null: everything. */
  readonly fanOut: FanOut | null
  /** How often it was requested. */
  readonly orders: number
  readonly gapIds: readonly number[]
  readonly state: 'waiting' | 'running' | 'done' | 'cancelled'
  readonly phase: 'rows' | 'deletes'
  readonly reason: string | null
  /** How to fix that. */
  readonly code: PageCode | null
  /** Receivers knew the events up to this one at the beginning. */
  readonly knownUpTo: bigint
  readonly afterKey: string | null
  /** The last key at the beginning: later rows have events of their own. */
  readonly untilKey: string | null
  readonly rowsDone: number
  readonly deletesDone: number
  readonly rowsEstimate: number | null
}

export function describeProgress(resync: Resync): string {
  const { entityType, phase, state, reason, code, rowsDone, rowsEstimate, deletesDone } = resync
  const of = phase === 'rows' && rowsEstimate !== null ? ` of about ${rowsEstimate}` : ''
  const what = state === 'running' && phase === 'deletes' ? 'running, searching for deleted rows' : state
  const line = resync.fanOut
    ? `${entityType}: ${state}, ${rowsDone}${of} entities with a changed row in ${resync.fanOut.field} read`
    : resync.part
      ? `${entityType}: ${state}, ${rowsDone} rows of the partition ${resync.part.name} read, which was attached to ${resync.part.tableName}`
      : `${entityType}: ${what}, ${rowsDone}${of} rows sent, ${deletesDone} deletes`
  return reason === null ? line : `${line}. It waits: ${describePageReason(reason, code)}`
}
