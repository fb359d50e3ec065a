import type { ActionType } from '../event/event.ts'
import { type Row, unchanged } from './change.ts'

/**
 * What one transaction has done to one entity so far.
 *
 *   new      it was not there before and is now
 *   update   it was there before and still is
 *   delete   it was there before and is gone
 *   nothing  it came and went inside the transaction: nobody ever saw it
 *
 * Two facts decide which: whether a row of the entity was there before the transaction, and whether one is there now.
 *
 *   was there \ is there   yes      no
 *   no                     new      nothing
 *   yes                    update   delete
 *
 * An UPDATE or DELETE of a row that no step before has brought shows that a row was there before. Rows are told apart by
 * their replica identity, for two may have the same key in the middle of a statement: `set id = 3 - id` gives the key 2
 * to the row 1 first, and takes it from the row 2 then. The DELETE is not of the row that came.
 *
 * A touch is a change of a related row: the entity's own row did not change, what it shows did. An entity with
 * touches only is an update. After them, the next step counts as the first: a related row may come before its owner.
 */
export type Folded = {
  readonly state: ActionType | 'nothing'
  /** The row after the last step that gave one; null when it must be read from the table, or is gone. */
  readonly row: Row | null
  /**
   * What is known of the row before the transaction, with `unchanged` for each value that is not known;
   * or that the transaction has not changed the row itself so far; or that nothing is known.
   */
  readonly before: Row | 'untouched' | 'unknown'
  /** The fields whose related rows it changed, each once. */
  readonly touched: readonly string[]
  /** Whether a row of it was there before. */
  readonly existed: boolean
  /** The rows that steps have brought and none has taken, the last one last. Null: one of which nothing is known. */
  readonly present: readonly (Row | null)[]
}

/**
 * `old` is what is known of the row before the step, and `identity` what tells it apart, where that is not the same.
 * Of a DELETE with neither no row is left.
 */
export type Step =
  | { readonly kind: 'insert'; readonly row: Row }
  | { readonly kind: 'update'; readonly row: Row; readonly old: Row | null; readonly identity?: Row | null }
  | { readonly kind: 'delete'; readonly old: Row | null; readonly identity?: Row | null }
  | { readonly kind: 'touch'; readonly field: string }

/** Whether `old`, what tells apart the row that a step has changed, can be the row `present`. */
export type IsSameRow = (old: Row, present: Row) => boolean

const everyRowIsTheSame: IsSameRow = () => true
/** An entity of more rows than these has no unique key: the oldest count as rows that were there before. */
const mostPresent = 32

const nothingYet: Folded = {
  state: 'nothing',
  row: null,
  before: 'untouched',
  touched: [],
  existed: false,
  present: [],
}

/**
 * Folds one more step into what the transaction had done to the entity before (`undefined`: nothing yet).
 * `isSameRow` is left out where the key alone is the replica identity.
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
      const at = placeOf(so.present, step.identity ?? step.old ?? step.row, isSameRow)
      if (at < 0) return withRows(so, { ...met(so, step.old), present: added(so.present, step.row) })
      const row = keepUnchanged(step.row, so.present[at]!)
      return withRows(so, { ...so, present: added(so.present.toSpliced(at, 1), row) })
    }
    case 'touch': {
      const isFirst = so.before === 'untouched'
      const touched = so.touched.includes(step.field) ? so.touched : [...so.touched, step.field]
      return { ...so, state: isFirst ? 'update' : so.state, touched }
    }
    case 'delete': {
      const identity = step.identity ?? step.old
      if (identity === null) {
        const isMet = so.present.length === 0
        return withRows(so, { ...(isMet ? met(so, null) : so), present: [] })
      }
      const at = placeOf(so.present, identity, isSameRow)
      return withRows(so, at < 0 ? met(so, step.old) : { ...so, present: so.present.toSpliced(at, 1) })
    }
    default:
      return step satisfies never
  }
}

/** The state and the row that follow from the rows that are there. */
function withRows(earlier: Folded, next: Folded): Folded {
  const { existed, present } = next
  const before = next.before === 'untouched' ? 'unknown' : next.before
  if (present.length === 0) return { ...next, before, row: null, state: existed ? 'delete' : 'nothing' }
  const state = existed ? 'update' : 'new'
  return { ...next, before, row: present.at(-1)!, state, touched: earlier.touched }
}

/** A step concerned a row that was there before: the first of them is the entity's row before. */
function met(so: Folded, old: Row | null): Folded {
  return so.existed ? so : { ...so, existed: true, before: old ?? 'unknown' }
}

function placeOf(present: Folded['present'], old: Row, isSameRow: IsSameRow): number {
  return present.findLastIndex(row => row === null || isSameRow(old, row))
}

function added(present: Folded['present'], row: Row): Folded['present'] {
  if (present.length === 0) return [row]
  return [...present.slice(1 - mostPresent), row]
}

/** After a statement that has changed the columns, a place in a row says nothing of one from before. */
export function forgetRows(folded: Folded): Folded {
  return {
    ...folded,
    row: null,
    before: folded.before === 'untouched' ? 'untouched' : 'unknown',
    present: folded.present.map(() => null),
  }
}

/** An UPDATE leaves out TOASTed values that it did not touch: an earlier step of the transaction may have them. */
function keepUnchanged(row: Row, earlier: Row | null): Row {
  if (earlier === null || earlier.length !== row.length || !row.includes(unchanged)) return row
  return row.map((value, i) => (value === unchanged ? earlier[i]! : value))
}
