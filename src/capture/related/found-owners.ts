import { columnsOfKey, idAt, onlyColumn } from '../../domain/mapping/entity-key.ts'
import { type Stop, stopsOf } from '../../domain/mapping/hops.ts'
import {
  type EntityMapping,
  quoteIdentifier,
  type RelatedList,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import type { Queryable } from '../source/source.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import { typeOf } from './column-type.ts'
import { addDeciding, alias, joined, leadsTo, type ReadColumn } from './list-query.ts'
import { createRowMatcher } from './match-rows.ts'
import type { IsReceived } from './received-rows.ts'

/** The keys of entities that a value leads to. `isMore`: others are sent page by page. */
export type Found = { readonly keys: readonly string[]; readonly isMore: boolean }

export const many: Found = { keys: [], isMore: true }

/** The limits for direct sending; above them, the entities of a row, or of a batch, are sent page by page (decision 0073). */
const maxRows = { toOne: 1_000, together: 10_000 }

/**
 * Finds the entities whose related field leads to rows of its table `at` by these values, in one query. Absent: none. Only
 * present links count: a removed one names its entity by its own change. An entity that the stream may not have delivered yet
 * is sent page by page, after everything that its page has read.
 */
export async function findOwners(
  db: Queryable,
  catalogue: Catalogue,
  of: { readonly entity: EntityMapping; readonly list: RelatedList; readonly at: number },
  values: readonly string[],
  isReceived: IsReceived,
): Promise<Map<string, Found>> {
  const { entity, list, at } = of
  const stops = stopsOf(list)
  const type = typeOf(catalogue, stops[at]!.table, onlyColumn(stops[at]!.owner))
  const sqlOf = (i: number, column: string) => `${alias(i)}.${quoteIdentifier(column)}`
  const owner = columnsOfKey(stops[0]!.owner)
  const read: ReadColumn[] = owner.map(column => ({ at: 0, column }))
  const filters = addDeciding(read, stops.slice(0, at))
  const columns = read.map(({ at, column }, i) => `${sqlOf(at, column)} as c${i}`)
  const own = tableKey(entity.table)
  const isComparable = haveSameValues(catalogue, entity, stops[0]!)
  const same = columnsOfKey(entity.key).map(
    (column, i) => `own.${quoteIdentifier(column)} = ${sqlOf(0, owner[i]!)}`,
  )
  const rowOf = isComparable ? `join ${own} own on ${same.join(' and ')}` : ''
  const { rows, fields } = await db.query({
    text: `select asked.ordinal, found.*
           from unnest($1::${type}[]) with ordinality as asked (value, ordinal)
           cross join lateral (
             select ${isComparable ? 'own.xmin' : 'null::xid'} as xmin, ${columns.join(', ')}
             from ${joined(catalogue, list, at - 1)} ${rowOf}
             where ${leadsTo(catalogue, list, at, 'asked.value')} and ${owner.map(column => `${sqlOf(0, column)} is not null`).join(' and ')}
             limit $2
           ) found
           limit $3`,
    values: [values, maxRows.toOne + 1, maxRows.together + 1],
    rowMode: 'array',
  })
  if (rows.length > maxRows.together) return new Map(values.map(value => [value, many]))
  const matches = createRowMatcher(catalogue, filters, fields.slice(2))
  const found = new Map<string, { count: number; keys: Set<string>; isMore: boolean }>()
  for (const [ordinal, xmin, ...row] of rows as (string | null)[][]) {
    const value = values[Number(ordinal) - 1]!
    const of = found.get(value) ?? { count: 0, keys: new Set(), isMore: false }
    found.set(value, of)
    of.count++
    // A row that begins or ceases to lead on has its own change.
    if (matches(row) === 'no') continue
    if (xmin != null && isReceived(xmin)) of.keys.add(idAt(row, [...owner.keys()])!)
    else of.isMore = true
  }
  return new Map(
    [...found].map(([value, { count, keys, isMore }]) => [
      value,
      count > maxRows.toOne ? many : { keys: [...keys], isMore },
    ]),
  )
}

const integers: ReadonlySet<number> = new Set([20, 21, 23])

/** Whether the entity's key and the columns that refer to it are comparable in SQL. */
function haveSameValues(catalogue: Catalogue, entity: EntityMapping, first: Stop): boolean {
  const typeIn = (table: TableName, column: string | undefined) => {
    const found = catalogue.tables.get(tableKey(table))?.columns.find(({ name }) => name === column)
    return found && catalogue.baseTypeOf(found.typeOid)
  }
  const owner = columnsOfKey(first.owner)
  return columnsOfKey(entity.key).every((column, i) => {
    const [one, other] = [typeIn(entity.table, column), typeIn(first.table, owner[i])]
    if (one === undefined || other === undefined) return false
    return one === other || (integers.has(one) && integers.has(other))
  })
}
