import { type Compared, comparableOf, compare } from '../mapping/comparable.ts'
import { isKnown, type Row, type Value } from './change.ts'

/** The columns that decide the content of a related list, by their positions in a row. */
export type ListColumns = {
  readonly shown: readonly number[]
  /** The order of the rows. `bytes`: by the bytes of the text. */
  readonly order: readonly {
    readonly index: number
    readonly descends: boolean
    readonly type: Compared | 'bytes'
  }[]
}

/** The rows that one transaction removed from a list, and those that it added, with counts. */
export type Replaced = {
  readonly columns: ListColumns | null
  /** False if some are unknown, or too many to compare. */
  isKnown: boolean
  readonly gone: Map<string, number>
  readonly come: Map<string, number>
}

/** A removed and an added row of a list. Null: none. */
export type ListChange = { readonly before: Row | 'unknown' | null; readonly after: Row | 'unknown' | null }

const maxRows = 1_000
const maxLetters = 4_096

/** Adds one change to the transaction's effect on a list (`undefined`: none yet). */
export function replace(
  so: Replaced | undefined,
  { before, after }: ListChange,
  columns: ListColumns | null,
): Replaced {
  const replaced = so ?? { columns, isKnown: true, gone: new Map(), come: new Map() }
  if (!replaced.isKnown) return replaced
  const gone = textOf(before, columns)
  const come = textOf(after, columns)
  const size = replaced.gone.size + replaced.come.size
  if (columns !== replaced.columns || gone === 'unknown' || come === 'unknown' || size > maxRows) {
    replaced.isKnown = false
    replaced.gone.clear()
    replaced.come.clear()
    return replaced
  }
  if (gone !== null) move(gone, replaced.come, replaced.gone)
  if (come !== null) move(come, replaced.gone, replaced.come)
  return replaced
}

/** A row that returns is not removed, and one that leaves again is not added. */
function move(row: string, from: Map<string, number>, to: Map<string, number>) {
  const count = from.get(row) ?? 0
  if (count > 1) from.set(row, count - 1)
  else if (count === 1) from.delete(row)
  else to.set(row, (to.get(row) ?? 0) + 1)
}

function textOf(row: Row | 'unknown' | null, columns: ListColumns | null): string | 'unknown' | null {
  if (row === null) return null
  if (row === 'unknown' || columns === null) return 'unknown'
  const indexes = [...columns.shown, ...columns.order.map(({ index }) => index)]
  const values = indexes.map(index => row[index] as Value).filter(isKnown)
  if (values.length < indexes.length) return 'unknown'
  if (values.some(value => value !== null && value.length > maxLetters)) return 'unknown'
  return JSON.stringify(values)
}

/**
 * Whether a list is certain to be as it was before the transaction. `rowsNow`: its length now, or when it was read later.
 *
 * Rows that were replaced by equal ones are the same, wherever they are in the list. If their position may differ, as with a
 * new serial key, the rows beside them matter; a list as long as the number of added rows has none. A later transaction that
 * removed them before the list was read has changed the length: its event has the list.
 */
export function isSameList(replaced: Replaced | undefined, rowsNow: number | null): boolean {
  if (!replaced?.isKnown || replaced.columns === null) return false
  const { gone, come, columns } = replaced
  if (gone.size === 0 && come.size === 0) return true
  const before = rowsOf(gone)
  const after = rowsOf(come)
  if (before.length !== after.length || after.length !== rowsNow) return false
  const sorted = [before, after].map(rows => shownInOrder(rows, columns))
  return sorted[0] !== null && sorted[0] === sorted[1]
}

type Values = readonly (string | null)[]

const rowsOf = (rows: ReadonlyMap<string, number>): Values[] =>
  [...rows].flatMap(([text, count]) => Array.from({ length: count }, () => JSON.parse(text) as Values))

/** The content of the rows, in order; null if unknown: Postgres orders texts by collations. */
function shownInOrder(rows: Values[], { shown, order }: ListColumns): string | null {
  let isKnownOrder = true
  rows.sort((a, b) => {
    for (const [i, { type, descends }] of order.entries()) {
      const [one, other] = [a[shown.length + i]!, b[shown.length + i]!]
      if (one === other) continue
      if (one === null || other === null) return one === null ? 1 : -1
      const compared =
        type === 'bytes' ? Buffer.compare(Buffer.from(one), Buffer.from(other)) : by(type, one, other)
      if (compared === null) isKnownOrder = false
      else if (compared !== 0) return descends ? -compared : compared
    }
    return 0
  })
  return isKnownOrder ? JSON.stringify(rows.map(values => values.slice(0, shown.length))) : null
}

const ordered: ReadonlySet<string> = new Set([
  'integer',
  'number',
  'uuid',
  'date',
  'time',
  'zoned',
  'boolean',
])

function by(type: Compared, one: string, other: string): number | null {
  const [a, b] = [comparableOf(type, one), comparableOf(type, other)]
  return ordered.has(type.family) && a !== null && b !== null ? compare(a, b) : null
}
