import type { Relation } from '../../domain/capture/change.ts'
import { tableKey } from '../../domain/mapping/mapping.ts'
import type { Catalogue } from '../source/catalogue.ts'
import type { Shape } from './result.ts'

/** What a relation's rows look like once they are complete, and where in the stream's row each value is. */
export type FullShape = {
  readonly shape: Shape
  /** For each column of the shape its place in the row, or null: the WAL does not have it. */
  readonly places: readonly (number | null)[]
  readonly hasGenerated: boolean
}

/**
 * Completes relations by the columns that Postgres generates, which it leaves out of the stream, at their place in
 * the table. A relation of the stream may be older than the catalogue: what the table no longer has stays.
 */
export function createShapes(catalogue: Catalogue) {
  const known = new WeakMap<Relation, FullShape>()

  function complete(relation: Relation): FullShape {
    const { columns } = relation
    const table = catalogue.tables.get(tableKey(relation))?.columns ?? []
    const generated = table.filter(column => column.isGenerated && !columns.some(has(column.name)))
    if (generated.length === 0)
      return { shape: columns, places: columns.map((_, i) => i), hasGenerated: false }
    const order = table.map(({ name }) => name)
    const rank = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length)
    const all = [...columns.map((column, i) => ({ column, place: i as number | null }))]
    for (const column of generated) all.push({ column: { ...column, inKey: false }, place: null })
    all.sort((a, b) => rank(a.column.name) - rank(b.column.name))
    return {
      shape: all.map(({ column }) => column),
      places: all.map(({ place }) => place),
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
