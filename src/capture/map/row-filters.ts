import { isKnown, type Value } from '../../domain/capture/change.ts'
import { comparedBy, type Types } from '../../domain/mapping/comparable.ts'
import { columnsOfKey, splitKey } from '../../domain/mapping/entity-key.ts'
import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import { actionOf, createMatcher, type RowFilter, type Verdict } from '../../domain/mapping/row-filter.ts'
import { perPair } from '../../runtime/per-pair.ts'
import type { ChangedEntity } from './changed-entities.ts'
import type { Shape, ShapedRow } from './result.ts'

/**
 * Creates the function that decides whether a row is sent, for stream, backfills and resyncs alike. It finds columns by name;
 * missing ones are unknown.
 */
export function createRowFilters(types: Types) {
  const matcherOf = perPair((shape: Shape, filter: RowFilter) => {
    const indexes = new Map(shape.map(({ name }, i) => [name, i]))
    const matcher = createMatcher(filter, column => {
      const index = indexes.get(column)
      return index === undefined ? null : comparedBy(types, shape[index]!.typeOid)
    })
    return { matcher, indexes }
  })

  /** `known`: values that are certain, whatever the row says. */
  return (
    filter: RowFilter | undefined,
    { shape, values }: ShapedRow,
    known: readonly { readonly column: string; readonly value: Value }[] = [],
  ): Verdict => {
    if (!filter) return 'yes'
    const { matcher, indexes } = matcherOf(shape, filter)
    return matcher(column => {
      const index = indexes.get(column)
      const value = index === undefined ? undefined : values[index]
      if (value !== undefined && isKnown(value)) return value
      const given = known.find(each => each.column === column)?.value
      return given !== undefined && isKnown(given) ? given : undefined
    })
  }
}

export type RowFilters = ReturnType<typeof createRowFilters>

/**
 * The action of a transaction on an entity with filtered rows: a row that begins to match is `new`, one that ceases is
 * `delete`.
 *
 * If the row before is unknown, it may have been sent: a matching row is an `update`, another one a `delete`, maybe of an
 * entity that the receiver never had. If an UPDATE left the deciding TOASTed value out, the row that is read decides
 * (`isShown`).
 */
export function filtered(
  item: ChangedEntity,
  matchRow: RowFilters,
): ChangedEntity & { readonly matchedBefore: Verdict } {
  const { entity, folded, relation, key } = item
  const { before, row, existed, present } = folded
  const filter = entity.rows
  if (!filter) return { ...item, matchedBefore: existed ? 'yes' : 'no' }
  // For a related row alone, or one that may be another's, the row that is read decides.
  if (before === 'unmodified' || item.problem !== null || item.mayRemain || folded.state === 'nothing')
    return { ...item, matchedBefore: 'unknown' }
  const names = columnsOfKey(entity.key)
  const parts = key === null ? null : splitKey(key, names.length)
  const byKey = (parts ?? []).map((value, i) => ({ column: names[i]!, value }))
  const match = (values: ShapedRow['values'] | null) =>
    values === null || relation === null
      ? 'unknown'
      : matchRow(filter, { shape: relation.columns, values }, byKey)
  const was = !existed ? 'no' : match(before === 'unknown' ? null : before)
  const is = present.length === 0 ? 'no' : match(row)
  return { ...item, matchedBefore: was, folded: { ...folded, state: actionOf(was, is) ?? 'nothing' } }
}

/** Whether the row to be sent matches. Throws if that is unknown. */
export function isShown(entity: EntityMapping, row: ShapedRow, matchRow: RowFilters): boolean {
  const verdict = matchRow(entity.rows, row)
  if (verdict !== 'unknown') return verdict === 'yes'
  throw new Error('whether it matches `where` and `deleted_when` is unknown: one of its values is unknown')
}
