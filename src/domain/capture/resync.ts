import type { FanOut } from './fan-out.ts'
import { describePageReason, type PageCode } from './page-failures.ts'

/** A partition, and the table that it came into by its key (`tableKey`). */
export type Part = { readonly tableName: string; readonly oid: number; readonly name: string }

/**
 * The resync of one entity type: what mends a gap, while changes are captured. Or, of a partition that came, of its rows alone;
 * or, of a changed row that very many entities show, of these alone.
 *
 *   waiting    nobody has begun it. Ends when its first page is stored.
 *   running    phase `rows`: the rows up to `afterKey` are told. Phase `deletes`: of the entities that receivers know, those
 *              up to `afterKey` were looked for. A crash changes nothing: whoever captures next goes on from there.
 *   done       every row that was there at the beginning is told, and everything that is gone (but not where it is of a
 *              partition or a changed row: they take no entity away). With the last one of a
 *              gap ends the gap.
 *   cancelled  the mapping has no such entity any more.
 *
 * While it is open, `reason` says what it waits for, if anything. A table that can't be read is waited for: it is never
 * taken for an empty one.
 */
export type Resync = {
  readonly id: number
  readonly slotName: string
  readonly entityType: string
  /** The partition that it is of; null: of everything. */
  readonly part: Part | null
  /** The changed row whose entities it is of; null: of everything. */
  readonly fanOut: FanOut | null
  /** How often it was ordered. */
  readonly orders: number
  readonly gapIds: readonly number[]
  readonly state: 'waiting' | 'running' | 'done' | 'cancelled'
  readonly phase: 'rows' | 'deletes'
  readonly reason: string | null
  /** What a person can do about that. */
  readonly code: PageCode | null
  /** What this event and those before it have told is what receivers knew at the beginning. */
  readonly knownUpTo: bigint
  readonly afterKey: string | null
  /** The last key that the table had at the beginning: what came after it was told by its own event. */
  readonly untilKey: string | null
  readonly rowsDone: number
  readonly deletesDone: number
  readonly rowsEstimate: number | null
}

/** A resync in one line, for people. */
export function describeProgress(resync: Resync): string {
  const { entityType, phase, state, reason, code, rowsDone, rowsEstimate, deletesDone } = resync
  const of = phase === 'rows' && rowsEstimate !== null ? ` of about ${rowsEstimate}` : ''
  const what = state === 'running' && phase === 'deletes' ? 'running, looks for what is gone' : state
  const line = resync.fanOut
    ? `${entityType}: ${state}, ${rowsDone}${of} entities read that show a changed row in ${resync.fanOut.field}`
    : resync.part
      ? `${entityType}: ${state}, ${rowsDone} rows of the partition ${resync.part.name} read, which came into ${resync.part.tableName}`
      : `${entityType}: ${what}, ${rowsDone}${of} rows told, ${deletesDone} deletes`
  return reason === null ? line : `${line}. It waits: ${describePageReason(reason, code)}`
}
