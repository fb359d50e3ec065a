import { isKnown, type Value } from '../../domain/capture/change.ts'
import { comparedBy, type Types } from '../../domain/mapping/comparable.ts'
import { createMatcher, type RowFilter, type Verdict } from '../../domain/mapping/row-filter.ts'

/** Filters with the positions of their columns in a row. */
export type FoundFilters = readonly {
  readonly rows: RowFilter
  readonly indexes: ReadonlyMap<string, number>
}[]

/** A row matches if it matches all filters. */
export function createRowMatcher(
  types: Types,
  filters: FoundFilters,
  fields: readonly { readonly dataTypeID: number }[],
): (values: readonly Value[]) => Verdict {
  const matchers = filters.map(({ rows, indexes }) => {
    const matcher = createMatcher(rows, column => {
      const field = fields[indexes.get(column) ?? -1]
      return field ? comparedBy(types, field.dataTypeID) : null
    })
    return { matcher, indexes }
  })
  return values => {
    let verdict: Verdict = 'yes'
    for (const { matcher, indexes } of matchers) {
      const is = matcher(column => {
        const value = values[indexes.get(column) ?? -1]
        return value !== undefined && isKnown(value) ? value : undefined
      })
      if (is === 'no') return 'no'
      if (is === 'unknown') verdict = 'unknown'
    }
    return verdict
  }
}
