import type { Column, Relation } from '../../domain/capture/change.ts'
import type { KnownColumn } from '../../domain/capture/known-columns.ts'
import { suspect } from '../../domain/mapping/credentials.ts'
import { columnsOfKey } from '../../domain/mapping/entity-key.ts'
import {
  decidingColumns,
  type EntityMapping,
  type FieldRules,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import type { Catalogue, Table } from '../verdict/catalogue.ts'

/** The present name of a column of the WAL, null (dropped), or undefined: unknown. */
type NameToday = string | null | undefined

/**
 * Finds the present names of a relation's columns. The WAL has their names at the time of the change, in attnum order,
 * without columns dropped earlier. So it has all present ones up to its last, and the count or known names show which dropped
 * ones. Generated columns may be missing.
 */
function namesToday(
  { oid, columns }: Relation,
  table: Pick<Table, 'oid' | 'attributes' | 'columns'> | undefined,
  known: readonly KnownColumn[],
): readonly NameToday[] {
  if (!table || table.oid !== oid) return columns.map(() => undefined)
  const { attributes } = table
  const generated = new Set(table.columns.filter(({ isGenerated }) => isGenerated).map(({ name }) => name))
  const isSure = (name: string | null) => name !== null && !generated.has(name)
  const mayBe = (now: string | null, name: string) => now === null || isSure(now) || now === name
  const names = columns.map(({ name }) => name)
  const present = attributes.filter(isSure)
  if (names.length === present.length && names.every((name, i) => name === present[i])) return names

  const sureBefore = attributes.map((_, i) => attributes.slice(0, i).filter(isSure).length)
  const spare = attributes.length - names.length
  return names.map((name, i) => {
    const possible = attributes.flatMap((_, at) =>
      sureBefore[at]! <= i && i <= at && at <= spare + i && mayBe(attributes[at]!, name) ? [at] : [],
    )
    const had = possible.filter(
      at =>
        attributes[at] === name ||
        known.some(each => each.tableOid === oid && each.name === name && each.attnum === at + 1),
    )
    const [at, ...others] = had.length > 0 ? had : possible
    return at === undefined || others.length > 0 ? undefined : attributes[at]!
  })
}

/**
 * The relation as an entity's mapping sees it: each column under the mapping's name, without omitted ones under any name.
 * `inDoubt`: columns that may be omitted ones.
 */
export function mapColumns(
  relation: Relation,
  named: { readonly table: TableName; readonly rules: Partial<FieldRules>; readonly more: readonly string[] },
  catalogue: Catalogue,
): Relation {
  const known = (catalogue.known ?? []).filter(
    each => each.tableOid === relation.oid || tableKey(each.table) === tableKey(named.table),
  )
  const table = [...catalogue.tables.values()].find(({ oid }) => oid === relation.oid)
  const sameName = catalogue.tables.get(tableKey(named.table))
  const today = namesToday(relation, table, known)
  const { rules } = named
  const omit = rules.omit ?? []
  const isNamed = (name: string) =>
    named.more.includes(name) ||
    rules.include?.includes(name) ||
    Object.hasOwn(rules.rename ?? {}, name) ||
    Object.hasOwn(rules.format ?? {}, name)
  const isWithheld = (name: string, { typeOid }: Column) =>
    omit.includes(name) || (!isNamed(name) && suspect({ name, kind: catalogue.kindOf(typeOid) }) !== null)
  const wasOmitted = (name: string) => known.some(each => each.name === name && each.isOmitted)
  const isThere = (name: string) => (table ?? sameName)?.attributes.includes(name) === true
  /** For present columns that the relation's names do not explain. */
  const mayBeWithheld = (table?.attributes ?? []).some(
    name => name !== null && omit.includes(name) && !relation.columns.some(column => column.name === name),
  )

  function typed(column: Column): Column {
    const typeOid = catalogue.typeToday?.(column) ?? column.typeOid
    return typeOid === column.typeOid ? column : { ...column, typeOid }
  }

  function mapColumn(column: Column, now: NameToday): Column {
    const { name } = column
    if (now === name) return column
    if (omit.includes(name)) return { ...column, included: 'never' }
    if (typeof now === 'string') {
      if (isWithheld(now, column) || isWithheld(name, column)) return { ...column, included: 'never' }
      // The mapping means another column by the old name, or this one by its new name.
      if (isNamed(now) || isThere(name)) return { ...column, name: now }
      return column
    }
    if (named.more.includes(name) && !isThere(name)) return column
    if (wasOmitted(name) && (now === null || !isThere(name))) return { ...column, included: 'never' }
    if (now === null) return column
    // For another or missing table of that name, only the names are known.
    if (!table) return column
    return isThere(name) || mayBeWithheld ? { ...column, included: 'in doubt' } : column
  }

  const columns = relation.columns.map((column, i) => mapColumn(typed(column), today[i]))
  const isSame = columns.every((column, i) => column === relation.columns[i])
  return isSame ? relation : { ...relation, columns }
}

/** The columns that an entity sends under any name, with its key. */
export const namedOf = (entity: EntityMapping) => ({
  table: entity.table,
  rules: entity.fields,
  more: [...columnsOfKey(entity.key), ...decidingColumns(entity)],
})
