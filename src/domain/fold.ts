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
 * A touch is a change of a related row: the entity's own row did not change, what it shows did.
 */
export type Folded = {
  readonly state: ActionType | 'nothing'
  /** The row after the last step that gave one; null when it must be read from the table, or is gone. */
  readonly row: Row | null
}

export type Step =
  | { readonly kind: 'insert' | 'update'; readonly row: Row }
  | { readonly kind: 'touch' | 'delete' }

const table: Record<Folded['state'] | 'none', Record<Step['kind'], Folded['state']>> = {
  none: { insert: 'new', update: 'update', touch: 'update', delete: 'delete' },
  new: { insert: 'new', update: 'new', touch: 'new', delete: 'nothing' },
  update: { insert: 'update', update: 'update', touch: 'update', delete: 'delete' },
  delete: { insert: 'update', update: 'update', touch: 'delete', delete: 'delete' },
  nothing: { insert: 'new', update: 'new', touch: 'nothing', delete: 'nothing' },
}

/** Folds one more step into what the transaction had done to the entity before (`undefined`: nothing yet). */
export function fold(before: Folded | undefined, step: Step): Folded {
  const state = table[before?.state ?? 'none'][step.kind]
  switch (step.kind) {
    case 'insert':
      return { state, row: step.row }
    case 'update':
      return { state, row: keepUnchanged(step.row, before?.row ?? null) }
    case 'touch':
      return { state, row: before?.row ?? null }
    case 'delete':
      return { state, row: null }
    default:
      return step satisfies never
  }
}

/** An UPDATE leaves out TOASTed values that it did not touch: an earlier step of the transaction may have them. */
function keepUnchanged(row: Row, earlier: Row | null): Row {
  if (earlier === null || earlier.length !== row.length || !row.includes(unchanged)) return row
  return row.map((value, i) => (value === unchanged ? earlier[i]! : value))
}
