import { type Row, unchanged } from './change.ts'
import type { ActionType } from './event.ts'

/**
 * What one transaction has done to one entity so far.
 *
 *   new      it was not there before and is now
 *   update   it was there before and still is
 *   delete   it was there before and is gone
 *   nothing  it came and went inside the transaction: nobody ever saw it
 *
 *   was \ step   insert   update   touch    delete
 *   (none)       new      update   update   delete
 *   new          new      new      new      nothing
 *   update       update   update   update   delete
 *   delete       update   update   delete   delete
 *   nothing      new      new      nothing  nothing
 *
 * A touch is a change of a related row: the entity's own row did not change, what it shows did. While there were
 * only touches, the next step counts as the first: a related row may come before its owner.
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
}

/** `old` is what is known of the row before the step, or null. */
export type Step =
  | { readonly kind: 'insert'; readonly row: Row }
  | { readonly kind: 'update'; readonly row: Row; readonly old: Row | null }
  | { readonly kind: 'delete'; readonly old: Row | null }
  | { readonly kind: 'touch'; readonly field: string }

const table: Record<Folded['state'] | 'none', Record<Step['kind'], Folded['state']>> = {
  none: { insert: 'new', update: 'update', touch: 'update', delete: 'delete' },
  new: { insert: 'new', update: 'new', touch: 'new', delete: 'nothing' },
  update: { insert: 'update', update: 'update', touch: 'update', delete: 'delete' },
  delete: { insert: 'update', update: 'update', touch: 'delete', delete: 'delete' },
  nothing: { insert: 'new', update: 'new', touch: 'nothing', delete: 'nothing' },
}

const nothingYet: Folded = { state: 'nothing', row: null, before: 'untouched', touched: [] }

/** Folds one more step into what the transaction had done to the entity before (`undefined`: nothing yet). */
export function fold(earlier: Folded | undefined, step: Step): Folded {
  const { state, row, before, touched } = earlier ?? nothingYet
  const isFirst = before === 'untouched'
  const next = table[isFirst ? 'none' : state][step.kind]
  switch (step.kind) {
    case 'insert':
      return { state: next, row: step.row, before: isFirst ? 'unknown' : before, touched }
    case 'update':
      return {
        state: next,
        row: keepUnchanged(step.row, row),
        before: isFirst ? (step.old ?? 'unknown') : before,
        touched,
      }
    case 'touch':
      return {
        state: next,
        row,
        before,
        touched: touched.includes(step.field) ? touched : [...touched, step.field],
      }
    case 'delete':
      return { state: next, row: null, before: isFirst ? (step.old ?? 'unknown') : before, touched }
    default:
      return step satisfies never
  }
}

/** An UPDATE leaves out TOASTed values that it did not touch: an earlier step of the transaction may have them. */
function keepUnchanged(row: Row, earlier: Row | null): Row {
  if (earlier === null || earlier.length !== row.length || !row.includes(unchanged)) return row
  return row.map((value, i) => (value === unchanged ? earlier[i]! : value))
}
