import { type Change, isKnown, type Relation, type Row, unchanged } from '../../domain/capture/change.ts'
import type { ListChange, ListColumns } from '../../domain/capture/replaced-rows.ts'
import { comparedBy } from '../../domain/mapping/comparable.ts'
import { idAt } from '../../domain/mapping/entity-key.ts'
import type { Stop } from '../../domain/mapping/hops.ts'
import { type EntityMapping, type RelatedList, tableKey } from '../../domain/mapping/mapping.ts'
import { createMatcher, type RowFilter, type Verdict } from '../../domain/mapping/row-filter.ts'
import type { Catalogue } from '../verdict/catalogue.ts'

/** A related field that depends on rows of a relation. */
export type OwnerPlan = {
  readonly entity: EntityMapping
  readonly field: string
  readonly list: RelatedList
  /** Its index in the field's tables (`stopsOf`): 0 contains the entity's key; for others, owners are looked up. */
  readonly at: number
  /** The positions of the owner's key, or of the value that leads to it. */
  readonly ownerIndexes: readonly number[]
  /** The positions that decide what the field shows; null: some are missing. */
  readonly shown: readonly number[] | null
  /** The positions of the identity's columns. */
  readonly identity: readonly number[]
  /** Whether the field shows a row. */
  readonly matches: (row: Row) => Verdict
  /** The columns that it shows or orders by; null: some are missing. */
  readonly columns: ListColumns | null
}

/** The columns that decide content and order of a related field, as `readRelated` reads it. */
export function listColumns(mapped: Relation, stop: Stop, catalogue: Catalogue): ListColumns | null {
  const table = catalogue.tables.get(tableKey(stop.table))
  const { shown } = stop.to === null ? stop : { shown: [stop.to] }
  // Rows that lead to the same row show the same, in any order.
  const primaryKey = stop.to === null ? (table?.primaryKey ?? []) : []
  const isOrdered = stop.to !== null || primaryKey.length > 0
  const order = [
    ...stop.order.map(({ column, descends }) => ({ column, descends, isByType: true })),
    ...primaryKey.map(column => ({ column, descends: false, isByType: true })),
    ...(isOrdered ? [] : shown.map(column => ({ column, descends: false, isByType: false }))),
  ]
  const indexOf = (column: string) => mapped.columns.findIndex(({ name }) => name === column)
  const isThere = (column: string) =>
    indexOf(column) >= 0 && table?.columns.some(({ name }) => name === column) === true
  if (![...shown, ...order.map(({ column }) => column)].every(isThere)) return null
  return {
    shown: shown.map(indexOf),
    order: order.map(({ column, descends, isByType }) => ({
      index: indexOf(column),
      descends,
      type: isByType ? comparedBy(catalogue, mapped.columns[indexOf(column)]!.typeOid) : 'bytes',
    })),
  }
}

/** Whether a related field shows a row: `unknown` if it depends on an unknown value. */
export function matcherOf(
  mapped: Relation,
  rows: RowFilter | undefined,
  catalogue: Catalogue,
): (row: Row) => Verdict {
  if (!rows) return () => 'yes'
  const indexes = new Map(mapped.columns.map(({ name }, i) => [name, i]))
  const matcher = createMatcher(rows, column => {
    const index = indexes.get(column)
    return index === undefined ? null : comparedBy(catalogue, mapped.columns[index]!.typeOid)
  })
  return row =>
    matcher(column => {
      const value = row[indexes.get(column) ?? -1]
      return value !== undefined && isKnown(value) ? value : undefined
    })
}

/**
 * The owners whose related field a row's change may affect, with removed and added rows: of rows that were or are shown.
 * Unknown rows may be shown.
 */
export function ownersOf(
  change: Exclude<Change, { kind: 'truncate' | 'unreadable' }>,
  { row, isFull, owner }: { row: Row | null; isFull: boolean; owner: OwnerPlan },
): Map<string, ListChange> {
  const { entity, ownerIndexes, shown, identity, matches } = owner
  const before = change.kind === 'insert' ? null : knownBefore(change, isFull, identity)
  const was = change.kind === 'insert' ? 'no' : before === null ? 'unknown' : matches(before)
  const is = row === null ? 'no' : matches(row)
  const isShownAsBefore = was === 'yes' && is === 'yes' && !entity.sendsUnchanged
  if (isShownAsBefore && change.kind === 'update' && isKnownUnchanged(change, isFull, shown)) return new Map()
  const now = idAt(row, ownerIndexes)
  const then = idAt(change.kind === 'insert' ? null : change.old, ownerIndexes) ?? now
  const owners = new Map<string, ListChange>()
  if (was !== 'no' && then !== null)
    owners.set(then, { before: was === 'yes' && before ? before : 'unknown', after: null })
  if (is !== 'no' && now !== null)
    owners.set(now, { before: null, ...owners.get(now), after: is === 'yes' && row ? row : 'unknown' })
  return owners
}

/** With identity FULL, the old row shows that an UPDATE changed nothing that the owner shows. */
function isKnownUnchanged(
  { row, old }: Change & { kind: 'update' },
  isFull: boolean,
  shown: readonly number[] | null,
): boolean {
  if (!isFull || old === null || shown === null) return false
  return shown.every(i => row[i] === unchanged || (row[i] === old[i] && isKnown(row[i]!)))
}

/**
 * The WAL's values of the row before: complete with identity FULL, otherwise the identity's columns, which an UPDATE without
 * an old row left unchanged. Null: nothing beside the key.
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
 * The row after a change; null: deleted. Values that the UPDATE left out are filled from the row before, if known. No omitted
 * value is null.
 */
export function rowAfter(change: Exclude<Change, { kind: 'truncate' | 'unreadable' }>): Row | null {
  if (change.kind === 'delete') return null
  if (change.kind === 'insert') return change.row
  const { row, old } = change
  if (old === null || !row.includes(unchanged)) return row
  return row.map((value, i) => (value === unchanged && typeof old[i] === 'string' ? old[i] : value))
}
