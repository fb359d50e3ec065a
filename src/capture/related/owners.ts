import { type Change, isKnown, type Relation, type Row, unchanged } from '../../domain/capture/change.ts'
import type { ListChange, ListColumns } from '../../domain/capture/replaced-rows.ts'
import { comparedBy } from '../../domain/mapping/comparable.ts'
import { idAt } from '../../domain/mapping/entity-key.ts'
import type { Stop } from '../../domain/mapping/hops.ts'
import { type EntityMapping, type RelatedList, tableKey } from '../../domain/mapping/mapping.ts'
import { createMatcher, type RowFilter, type Verdict } from '../../domain/mapping/row-filter.ts'
import type { Catalogue } from '../source/catalogue.ts'

/** A related field that rows of a relation change. */
export type OwnerPlan = {
  readonly entity: EntityMapping
  readonly field: string
  readonly list: RelatedList
  /** Which of the field's tables it is (`stopsOf`): 0 has the entity's key, of the others the owners are looked up. */
  readonly at: number
  /** Where a row has the owner's key, or the value that leads to it. */
  readonly ownerPlaces: readonly number[]
  /** The places that decide what the field shows; null where the relation has not all of them. */
  readonly shown: readonly number[] | null
  /** The places of the replica identity's columns. */
  readonly identity: readonly number[]
  /** Whether the field shows a row. */
  readonly judge: (row: Row) => Verdict
  /** The columns that it shows, and those that order its rows; null where the relation has not all of them. */
  readonly columns: ListColumns | null
}

/** The columns of a table that decide what a related field shows and in which order, as `readRelated` reads it. */
export function listColumns(told: Relation, stop: Stop, catalogue: Catalogue): ListColumns | null {
  const table = catalogue.tables.get(tableKey(stop.table))
  const { shown } = stop.to === null ? stop : { shown: [stop.to] }
  // Rows that lead to the same row show the same, in whatever order they are.
  const primaryKey = stop.to === null ? (table?.primaryKey ?? []) : []
  const isOrdered = stop.to !== null || primaryKey.length > 0
  const order = [
    ...stop.order.map(({ column, descends }) => ({ column, descends, isByType: true })),
    ...primaryKey.map(column => ({ column, descends: false, isByType: true })),
    ...(isOrdered ? [] : shown.map(column => ({ column, descends: false, isByType: false }))),
  ]
  const placeOf = (column: string) => told.columns.findIndex(({ name }) => name === column)
  const isThere = (column: string) =>
    placeOf(column) >= 0 && table?.columns.some(({ name }) => name === column) === true
  if (![...shown, ...order.map(({ column }) => column)].every(isThere)) return null
  return {
    shown: shown.map(placeOf),
    order: order.map(({ column, descends, isByType }) => ({
      place: placeOf(column),
      descends,
      type: isByType ? comparedBy(catalogue, told.columns[placeOf(column)]!.typeOid) : 'bytes',
    })),
  }
}

/** Judges whether a related field shows a row: `unknown` where that depends on a value that is not known. */
export function judgeOf(
  told: Relation,
  rows: RowFilter | undefined,
  catalogue: Catalogue,
): (row: Row) => Verdict {
  if (!rows) return () => 'yes'
  const places = new Map(told.columns.map(({ name }, i) => [name, i]))
  const matcher = createMatcher(rows, column => {
    const place = places.get(column)
    return place === undefined ? null : comparedBy(catalogue, told.columns[place]!.typeOid)
  })
  return row =>
    matcher(column => {
      const value = row[places.get(column) ?? -1]
      return value !== undefined && isKnown(value) ? value : undefined
    })
}

/**
 * The owners whose related field a change of a row may have changed, with the rows that it took away and put in: of a row
 * that was shown before, and of one that is now. What is not known may be shown.
 */
export function ownersOf(
  change: Exclude<Change, { kind: 'truncate' | 'unreadable' }>,
  { row, isFull, owner }: { row: Row | null; isFull: boolean; owner: OwnerPlan },
): Map<string, ListChange> {
  const { entity, ownerPlaces, shown, identity, judge } = owner
  const before = change.kind === 'insert' ? null : knownBefore(change, isFull, identity)
  const was = change.kind === 'insert' ? 'no' : before === null ? 'unknown' : judge(before)
  const is = row === null ? 'no' : judge(row)
  const isShownAsBefore = was === 'yes' && is === 'yes' && !entity.sendsUnchanged
  if (isShownAsBefore && change.kind === 'update' && isKnownUnchanged(change, isFull, shown)) return new Map()
  const now = idAt(row, ownerPlaces)
  const then = idAt(change.kind === 'insert' ? null : change.old, ownerPlaces) ?? now
  const owners = new Map<string, ListChange>()
  if (was !== 'no' && then !== null)
    owners.set(then, { before: was === 'yes' && before ? before : 'unknown', after: null })
  if (is !== 'no' && now !== null)
    owners.set(now, { before: null, ...owners.get(now), after: is === 'yes' && row ? row : 'unknown' })
  return owners
}

/** With identity FULL the old row shows that an UPDATE of a related row changed nothing that its owner shows. */
function isKnownUnchanged(
  { row, old }: Change & { kind: 'update' },
  isFull: boolean,
  shown: readonly number[] | null,
): boolean {
  if (!isFull || old === null || shown === null) return false
  return shown.every(i => row[i] === unchanged || (row[i] === old[i] && isKnown(row[i]!)))
}

/**
 * What the WAL says of the row before: all of it with identity FULL, else the columns of the identity, which an
 * UPDATE that gives no old row has left as they were. Null where that is nothing beside the key.
 */
export function knownBefore(
  change: Change & { kind: 'update' | 'delete' },
  isFull: boolean,
  identity: readonly number[],
): Row | null {
  const { relation, old } = change
  if (isFull) return old
  if (identity.length === 0) return null
  const from = old ?? (change.kind === 'update' ? change.row : [])
  return relation.columns.map((_, i) => (identity.includes(i) ? from[i]! : unchanged))
}

/**
 * The row after a change; null: it is gone. Fills values that the UPDATE left alone from what is known of the row before: all of it with identity FULL, else the
 * identity's columns, which Postgres repeats where it keeps them out of line. No value that it left out is null.
 */
export function rowAfter(change: Exclude<Change, { kind: 'truncate' | 'unreadable' }>): Row | null {
  if (change.kind === 'delete') return null
  if (change.kind === 'insert') return change.row
  const { row, old } = change
  if (old === null || !row.includes(unchanged)) return row
  return row.map((value, i) => (value === unchanged && typeof old[i] === 'string' ? old[i] : value))
}
