import type { ActionType } from '../event/event.ts'
import { type Row, unchanged } from './change.ts'

/**
 * What one transaction has done to one entity so far.
 *
 *   new      it did not exist before and does now
 *   update   it existed before and still does
 *   delete   it existed before and is gone
 *   nothing  it was created and deleted inside the transaction
 *
 * Two facts decide: whether the entity had a row before the transaction, and whether it has one now.
 *
 *   before \ now   yes      no
 *   yes            update   delete
 *   no             new      nothing
 *
 * An UPDATE or DELETE of a row that no earlier step created shows that a row existed before. The replica identity identifies
 * rows, since two may have the same key in the middle of a statement: `set id = 3 - id` first gives the key 2 to row 1, and
 * then deletes it from row 2. The DELETE is not of the new row.
 *
 * A touch is a change of a related row, not of the entity's own. An entity with touches only is an update. The first step
 * after touches counts as the first: a related row may precede its owner.
 */
export type Folded = {
  readonly state: ActionType | 'nothing'
  /** The row after the last step that has one; null if it must be read from the table, or is gone. */
  readonly row: Row | null
  /**
   * The known values of the row before the transaction, with `unchanged` for each unknown one; `unmodified`: the transaction
   * has not changed the row itself; `unknown`: nothing is known.
   */
  readonly before: Row | 'unmodified' | 'unknown'
  /** The fields whose related rows changed, each once. */
  readonly changedLists: readonly string[]
  /** Whether the entity had a row before. */
  readonly existed: boolean
  /** Rows that steps created and none removed, the newest last. Null: a row without known values. */
  readonly present: readonly (Row | null)[]
}

/**
 * `old` is the known part of the row before the step; `identity` identifies it, if that differs. A DELETE with neither leaves
 * no row.
 */
export type Step =
  | { readonly kind: 'insert'; readonly row: Row }
  | { readonly kind: 'update'; readonly row: Row; readonly old: Row | null; readonly identity?: Row | null }
  | { readonly kind: 'delete'; readonly old: Row | null; readonly identity?: Row | null }
  | { readonly kind: 'touch'; readonly field: string }

/** Whether `old`, the identity of the changed row, can be the row `present`. */
export type IsSameRow = (old: Row, present: Row) => boolean

const everyRowIsTheSame: IsSameRow = () => true
/** An entity with more rows has no unique key: the oldest count as rows that existed before. */
const maxPresent = 32

const nothingYet: Folded = {
  state: 'nothing',
  row: null,
  before: 'unmodified',
  changedLists: [],
  existed: false,
  present: [],
}

/**
 * Folds one more step into the transaction's effect on the entity (`undefined`: none yet). `isSameRow` is omitted if the key
 * is the replica identity.
 */
export function fold(
  earlier: Folded | undefined,
  step: Step,
  isSameRow: IsSameRow = everyRowIsTheSame,
): Folded {
  const so = earlier ?? nothingYet
  switch (step.kind) {
    case 'insert':
      return withRows(so, { ...so, present: added(so.present, step.row) })
    case 'update': {
      const at = indexOf(so.present, step.identity ?? step.old ?? step.row, isSameRow)
      if (at < 0) return withRows(so, { ...met(so, step.old), present: added(so.present, step.row) })
      const row = keepUnchanged(step.row, so.present[at]!)
      return withRows(so, { ...so, present: added(so.present.toSpliced(at, 1), row) })
    }
    case 'touch': {
      const isFirst = so.before === 'unmodified'
      const changedLists = so.changedLists.includes(step.field)
        ? so.changedLists
        : [...so.changedLists, step.field]
      return { ...so, state: isFirst ? 'update' : so.state, changedLists }
    }
    case 'delete': {
      const identity = step.identity ?? step.old
      if (identity === null) {
        const isMet = so.present.length === 0
        return withRows(so, { ...(isMet ? met(so, null) : so), present: [] })
      }
      const at = indexOf(so.present, identity, isSameRow)
      return withRows(so, at < 0 ? met(so, step.old) : { ...so, present: so.present.toSpliced(at, 1) })
    }
    default:
      return step satisfies never
  }
}

/** The state and row that follow from the present rows. */
function withRows(earlier: Folded, next: Folded): Folded {
  const { existed, present } = next
  const before = next.before === 'unmodified' ? 'unknown' : next.before
  if (present.length === 0) return { ...next, before, row: null, state: existed ? 'delete' : 'nothing' }
  const state = existed ? 'update' : 'new'
  return { ...next, before, row: present.at(-1)!, state, changedLists: earlier.changedLists }
}

/** A step concerned an earlier row: the first such row is the entity's row before. */
function met(so: Folded, old: Row | null): Folded {
  return so.existed ? so : { ...so, existed: true, before: old ?? 'unknown' }
}

function indexOf(present: Folded['present'], old: Row, isSameRow: IsSameRow): number {
  return present.findLastIndex(row => row === null || isSameRow(old, row))
}

function added(present: Folded['present'], row: Row): Folded['present'] {
  if (present.length === 0) return [row]
  return [...present.slice(1 - maxPresent), row]
}

/** After a change of the columns, the positions of earlier rows mean nothing. */
export function forgetRows(folded: Folded): Folded {
  return {
    ...folded,
    row: null,
    before: folded.before === 'unmodified' ? 'unmodified' : 'unknown',
    present: folded.present.map(() => null),
  }
}

/** An UPDATE omits TOASTed values that it did not change: an earlier step may have them. */
function keepUnchanged(row: Row, earlier: Row | null): Row {
  if (earlier === null || earlier.length !== row.length || !row.includes(unchanged)) return row
  return row.map((value, i) => (value === unchanged ? earlier[i]! : value))
}
