import type { Relation } from '../../domain/capture/change.ts'
import { tableKey } from '../../domain/mapping/mapping.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import type { Shape } from './result.ts'

/** The columns of a relation's complete rows, and their positions in the stream's row. */
type FullShape = {
  readonly shape: Shape
  /** Each column's position in the row, or null: not in the WAL. */
  readonly indexes: readonly (number | null)[]
  readonly hasGenerated: boolean
}

/**
 * Completes relations with generated columns, which the stream omits, at their position in the table. A relation may be older
 * than the catalogue: columns that the table no longer has stay.
 */
export function createShapes(catalogue: Catalogue) {
  const known = new WeakMap<Relation, FullShape>()

  function complete(relation: Relation): FullShape {
    const { columns } = relation
    const table = catalogue.tables.get(tableKey(relation))?.columns ?? []
    const generated = table.filter(column => column.isGenerated && !columns.some(has(column.name)))
    if (generated.length === 0)
      return { shape: columns, indexes: columns.map((_, i) => i), hasGenerated: false }
    const order = table.map(({ name }) => name)
    const rank = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length)
    const all = [...columns.map((column, i) => ({ column, index: i as number | null }))]
    for (const column of generated) all.push({ column: { ...column, inKey: false }, index: null })
    all.sort((a, b) => rank(a.column.name) - rank(b.column.name))
    return {
      shape: all.map(({ column }) => column),
      indexes: all.map(({ index }) => index),
      hasGenerated: true,
    }
  }

  return {
    of(relation: Relation): FullShape {
      const shape = known.get(relation) ?? complete(relation)
      known.set(relation, shape)
      return shape
    },
  }
}

export type Shapes = ReturnType<typeof createShapes>

function has(name: string) {
  return (column: { readonly name: string }) => column.name === name
}
