import { columnsOfKey, idAt, onlyColumn } from '../../domain/mapping/entity-key.ts'
import { stopsOf } from '../../domain/mapping/hops.ts'
import { quoteIdentifier, type RelatedList } from '../../domain/mapping/mapping.ts'
import type { Catalogue } from '../source/catalogue.ts'
import type { Queryable } from '../source/source.ts'
import { typeOf } from './column-type.ts'
import { judgeOfRows } from './judge-rows.ts'
import { addDeciding, alias, joined, type ReadColumn } from './list-query.ts'

/** The keys of the entities that a value leads to; `many`: too many to be told with the change itself. */
export type Found = readonly string[] | 'many'

/**
 * A row that more rows than these lead to is told page by page (decision 0073), and so are all of a batch to which more lead
 * together.
 */
const mostRows = { toOne: 1_000, together: 10_000 }

/**
 * Finds the entities whose related field leads to rows of its table `at` by these values, with one query for all. Absent: none.
 * Only links that are there count: one that was taken away names its entity by its own change.
 */
export async function findOwners(
  db: Queryable,
  catalogue: Catalogue,
  { list, at }: { readonly list: RelatedList; readonly at: number },
  values: readonly string[],
): Promise<Map<string, Found>> {
  const stops = stopsOf(list)
  const type = typeOf(catalogue, stops[at]!.table, onlyColumn(stops[at]!.owner))
  const sqlOf = (i: number, column: string) => `${alias(i)}.${quoteIdentifier(column)}`
  const owner = columnsOfKey(stops[0]!.owner)
  const read: ReadColumn[] = owner.map(column => ({ at: 0, column }))
  const judged = addDeciding(read, stops.slice(0, at))
  const columns = read.map(({ at, column }, i) => `${sqlOf(at, column)} as c${i}`)
  const { rows, fields } = await db.query({
    text: `select asked.place, found.*
           from unnest($1::${type}[]) with ordinality as asked (value, place)
           cross join lateral (
             select ${columns.join(', ')} from ${joined(list, at - 1)}
             where ${sqlOf(at - 1, stops[at - 1]!.to!)} = asked.value and ${owner.map(column => `${sqlOf(0, column)} is not null`).join(' and ')}
             limit $2
           ) found
           limit $3`,
    values: [values, mostRows.toOne + 1, mostRows.together + 1],
    rowMode: 'array',
  })
  if (rows.length > mostRows.together) return new Map(values.map(value => [value, 'many']))
  const judge = judgeOfRows(catalogue, judged, fields.slice(1))
  const found = new Map<string, { count: number; keys: Set<string> }>()
  for (const [place, ...row] of rows as string[][]) {
    const value = values[Number(place) - 1]!
    const of = found.get(value) ?? { count: 0, keys: new Set() }
    found.set(value, of)
    of.count++
    // One that begins or ceases to lead on is told by its own change.
    if (judge(row) !== 'no') of.keys.add(idAt(row, [...owner.keys()])!)
  }
  return new Map(
    [...found].map(([value, { count, keys }]) => [value, count > mostRows.toOne ? 'many' : [...keys]]),
  )
}
