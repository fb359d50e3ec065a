import { columnsOfKey } from '../mapping/entity-key.ts'
import { stopsOf } from '../mapping/hops.ts'
import type { EntityMapping, FieldRules, RelatedList, RowOrder, TableName } from '../mapping/mapping.ts'
import { tableKey } from '../mapping/mapping.ts'
import { filterColumns } from '../mapping/row-filter.ts'
import type { Lost } from './lost-texts.ts'

/** A present or past name of a column of a captured table. `attnum`: the column's number, which no DDL changes. */
export type KnownColumn = {
  readonly tableOid: number
  readonly table: TableName
  readonly name: string
  readonly attnum: number
  /** Whether a mapping has ever omitted it. */
  readonly isOmitted: boolean
}

/** A table in today's catalogue. `attributes`: the column names by number; null: dropped. */
type Today = { readonly oid: number; readonly attributes: readonly (string | null)[] }

/** The mapped tables in the source's catalogue, by their keys, and the dropped ones. */
type TablesToday = {
  readonly tables: ReadonlyMap<string, Today>
  readonly dropped: ReadonlySet<string>
}

/**
 * The mapping reduced to objects that still exist, and the missing ones in words. A dropped table or column is no mistake:
 * unread changes may still contain it. Names that were renamed or never existed stay, for a person to fix.
 */
export function livingMapping(
  mapping: readonly EntityMapping[],
  known: readonly KnownColumn[],
  { tables, dropped }: TablesToday,
): { mapping: EntityMapping[]; lost: Lost[] } {
  const lost: Lost[] = []
  const isDropped = findsDropped(known, tables)

  function livingRules(entity: EntityMapping): FieldRules {
    const { include, omit, rename, format } = entity.fields
    const lives = (column: string) => !isDropped(entity.table, column)
    const livingOf = <T>(rules: Readonly<Record<string, T>>) =>
      Object.fromEntries(Object.entries(rules).filter(([column]) => lives(column)))
    return {
      ...entity.fields,
      include: include?.filter(lives) ?? null,
      omit: omit.filter(lives),
      rename: livingOf(rename),
      ...(format && { format: livingOf(format) }),
    }
  }

  function livingList(entity: EntityMapping, named: RelatedList): RelatedList[] {
    const { order, through, ...rest } = named
    const livingOrder = (table: TableName, order: readonly RowOrder[]) =>
      order.filter(({ column }) => !isDropped(table, column))
    const list = {
      ...rest,
      ...(order && { order: livingOrder(named.table, order) }),
      ...(through && {
        through: through.map(hop => ({
          ...hop,
          ...(hop.order && { order: livingOrder(hop.table, hop.order) }),
        })),
      }),
    }
    const of = { entity: entity.entityType, field: list.field }
    const gone = (what: Lost) => {
      lost.push(what)
      return []
    }
    for (const { table, owner, to, rows } of stopsOf(list)) {
      const key = tableKey(table)
      if (dropped.has(key)) return gone({ code: 'related.table', facts: { ...of, table: key } })
      // Without a column of the filter, excluded rows would be sent.
      const needed = [...columnsOfKey(owner), ...(to === null ? [] : [to]), ...filterColumns(rows)]
      if (to === null && list.key !== undefined) needed.push(list.key)
      const column = needed.find(column => isDropped(table, column))
      if (column !== undefined) return gone({ code: 'related.column', facts: { ...of, column, table: key } })
    }
    const columns = list.columns.filter(column => !isDropped(list.table, column))
    if (columns.length === list.columns.length) return [list]
    const names = list.columns.filter(column => !columns.includes(column)).join(', ')
    if (columns.length === 0)
      return gone({ code: 'related.column', facts: { ...of, column: names, table: tableKey(list.table) } })
    lost.push({ code: 'related.item', facts: { ...of, columns: names } })
    return [{ ...list, columns }]
  }

  const living = mapping.flatMap(entity => {
    if (dropped.has(tableKey(entity.table))) {
      lost.push({ code: 'table', facts: { entity: entity.entityType, table: tableKey(entity.table) } })
      return []
    }
    const related = entity.related.flatMap(list => livingList(entity, list))
    const last = Array.isArray(entity.last)
      ? entity.last.filter(column => !isDropped(entity.table, column))
      : entity.last
    return [{ ...entity, fields: livingRules(entity), related, ...(last !== undefined && { last }) }]
  })
  return { mapping: living, lost }
}

/** Creates the function that finds whether a table exists without a column that it had. */
function findsDropped(known: readonly KnownColumn[], tables: TablesToday['tables']) {
  return (table: TableName, column: string): boolean => {
    const today = tables.get(tableKey(table))
    if (!today || today.attributes.includes(column)) return false
    return known.some(
      each =>
        each.name === column &&
        tableKey(each.table) === tableKey(table) &&
        (each.tableOid !== today.oid || today.attributes[each.attnum - 1] === null),
    )
  }
}
