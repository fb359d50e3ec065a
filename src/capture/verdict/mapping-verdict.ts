import { comparedBy } from '../../domain/mapping/comparable.ts'
import { columnsOfKey, type KeyColumns, keyName } from '../../domain/mapping/entity-key.ts'
import { columnsOf, stopsOf } from '../../domain/mapping/hops.ts'
import {
  decidingColumns,
  type EntityMapping,
  type FieldRules,
  publishedTables,
  quoteIdentifier,
  type RelatedList,
  ruleOf,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import { type Conditions, conditionProblems } from '../../domain/mapping/row-filter.ts'
import { formats } from '../../domain/value/format.ts'
import { nearest } from '../../domain/value/nearest.ts'
import { type Catalogue, chosenFields, type Table } from './catalogue.ts'
import type { SourceFacts, TableProblem } from './preflight-verdict.ts'
import { checkStop } from './relation-verdict.ts'
import { checkTable } from './table-verdict.ts'

function mendOf(column: string, names: readonly string[]): string {
  const meant = nearest(column, names)
  return meant === null ? 'correct the mapping' : `correct the mapping: did you mean ${meant}?`
}

/** The statements that move a table back, or the change of the mapping. */
function mendOfMoved(was: TableName, now: TableName): string {
  const isElsewhere = now.schema !== was.schema
  const move = `alter table ${tableKey(now)} set schema ${quoteIdentifier(was.schema)};`
  const rename = `alter table ${tableKey({ ...now, schema: was.schema })} rename to ${quoteIdentifier(was.name)};`
  const back = [...(isElsewhere ? [move] : []), ...(now.name === was.name ? [] : [rename])].join(' ')
  return `run: ${back}  Or write ${now.schema}.${now.name} in the mapping (WALHOOK_CONFIG), and restart walhook`
}

type Facts = Pick<SourceFacts, 'role' | 'serverVersion' | 'publication'>

/** The mapped tables must exist, be readable, have the named columns, and an identity with which no statement fails. */
export function checkMapping(
  catalogue: Catalogue,
  mapping: readonly EntityMapping[],
  facts: Facts,
  /** The present names of captured tables that were renamed or moved. */
  moved: ReadonlyMap<string, TableName> = new Map(),
): TableProblem[] {
  return [
    ...publishedTables(mapping).flatMap(name => {
      const table = catalogue.tables.get(tableKey(name))
      return table ? checkTable(table, facts) : missingTable(name, moved.get(tableKey(name)), catalogue)
    }),
    ...mapping.flatMap(entity => [
      ...checkEntity(catalogue, entity),
      ...entity.related.flatMap(related => checkRelated(catalogue, entity, related, facts)),
    ]),
  ]
}

function missingTable(
  name: TableName,
  now: TableName | undefined,
  { otherTables }: Catalogue,
): TableProblem[] {
  const what = `table ${tableKey(name)}`
  if (now) {
    const found = `missing: it is ${tableKey(now)} now`
    return [{ code: 'table_moved', what, found, mend: mendOfMoved(name, now) }]
  }
  const meant = nearestTable(name, otherTables)
  const mend =
    meant === null
      ? 'create it, or name the right table in the mapping (WALHOOK_CONFIG)'
      : `create it, or correct the mapping (WALHOOK_CONFIG): did you mean ${tableKey(meant)}?`
  return [{ code: 'table_missing', what, found: 'missing', mend }]
}

function checkEntity(catalogue: Catalogue, entity: EntityMapping): TableProblem[] {
  const table = catalogue.tables.get(tableKey(entity.table))
  if (!table) return []
  const { fields: rules, key, last, tenant, label } = entity
  const what = `entity ${entity.entityType}`
  const named = [
    ...[...columnsOfKey(key), ...(rules.include ?? []), ...rules.omit],
    ...[...Object.keys(rules.rename), ...Object.keys(rules.format ?? {})],
    ...decidingColumns(entity),
    ...(last === undefined || last === 'all' ? [] : last),
  ]
  const { where = [], deletedWhen = [] } = entity.rows ?? {}
  const fields = fieldsOf(entity, catalogue)
  return [
    ...missingColumns(what, table, named),
    ...wrongFormats(what, table, rules.format, catalogue),
    ...[...where, ...deletedWhen].flatMap(condition => {
      const about = conditionOf(what, condition)
      return [...notInWal(about, table, condition.column), ...wrongValues(about, table, condition, catalogue)]
    }),
    ...notInWal(`${what}: tenant ${tenant}`, table, tenant),
    ...notInIdentity(what, table, key),
    ...fieldsTwice(what, fields),
    ...wrongLabels(what, label, fields),
  ]
}

function checkRelated(
  catalogue: Catalogue,
  entity: EntityMapping,
  related: RelatedList,
  facts: Facts,
): TableProblem[] {
  const what = `entity ${entity.entityType}, related ${related.field}`
  return [...stopsOf(related).entries()].flatMap(([at, stop]): TableProblem[] => {
    const table = catalogue.tables.get(tableKey(stop.table))
    if (!table) return []
    const isLast = stop.to === null
    const of = isLast ? what : `${what}, through ${tableKey(stop.table)}`
    const { where: through = [] } = stop.rows ?? {}
    const conditions = at < (related.through ?? []).length ? through : (related.where ?? [])
    const verdict = checkStop(catalogue, { entity, related, at }, facts)
    const fields = related.columns.map(column => ({
      field: ruleOf(related.rename, column) ?? column,
      from: `column ${column}`,
    }))
    return [
      ...missingColumns(of, table, columnsOf(stop)),
      ...conditions.flatMap(each => wrongValues(conditionOf(of, each), table, each, catalogue)),
      ...notInIdentity(of, table, stop.owner),
      ...(verdict.level === 'error'
        ? [
            {
              code: 'relation' as const,
              what: `${of}: column ${keyName(stop.owner)}`,
              found: verdict.found,
              mend: verdict.mend,
            },
          ]
        : []),
      ...(isLast
        ? [...wrongFormats(what, table, related.format, catalogue), ...fieldsTwice(what, fields)]
        : []),
    ]
  })
}

function missingColumns(what: string, table: Table, columns: readonly string[]): TableProblem[] {
  const names = table.columns.map(column => column.name)
  return [...new Set(columns)]
    .filter(column => !names.includes(column))
    .map(column => ({
      code: 'column_missing',
      what: `${what}: column ${column}`,
      found: `${tableKey(table.name)} has ${names.join(', ')}`,
      mend: mendOf(column, names),
    }))
}

const conditionOf = (what: string, { column }: Conditions[number]) => `${what}: condition of column ${column}`

type Field = { readonly field: string; readonly from: string }

/** Receivers read JSON with a duplicate name differently. */
function fieldsTwice(what: string, fields: readonly Field[]): TableProblem[] {
  return [...Map.groupBy(fields, ({ field }) => field)]
    .filter(([, same]) => same.length > 1)
    .map(([field, same]) => ({
      code: 'field_twice',
      what: `${what}: field ${field}`,
      found: `twice: ${same.map(({ from }) => from).join(' and ')}`,
      mend: 'rename or omit one of them in the mapping',
    }))
}

function wrongLabels(what: string, label: readonly string[] = [], fields: readonly Field[]): TableProblem[] {
  const names = fields.map(({ field }) => field)
  return label
    .filter(name => !names.includes(name))
    .map(name => ({
      code: 'label',
      what: `${what}: label ${name}`,
      found: `its fields are ${names.join(', ')}`,
      mend: mendOf(name, names),
    }))
}

function wrongFormats(
  what: string,
  table: Table,
  rules: FieldRules['format'] = {},
  catalogue: Catalogue,
): TableProblem[] {
  return table.columns.flatMap(({ name, typeOid, typeName }) => {
    const format = ruleOf(rules, name)
    if (format === undefined || catalogue.hasFormat(typeOid, format)) return []
    const fitting = formats.filter(each => catalogue.hasFormat(typeOid, each))
    return {
      code: 'format' as const,
      what: `${what}: column ${name}`,
      found: `the format ${format} does not fit its type ${typeName}`,
      mend: `correct the mapping: ${fitting.length === 0 ? 'this type has no formats' : `its formats are ${fitting.join(', ')}`}`,
    }
  })
}

/** Compared values must fit the column's type. */
function wrongValues(
  what: string,
  table: Table,
  { column, tests }: Conditions[number],
  catalogue: Catalogue,
): TableProblem[] {
  const found = table.columns.find(({ name }) => name === column)
  if (!found) return []
  return conditionProblems(tests, comparedBy(catalogue, found.typeOid), found.typeName).map(problem => ({
    code: 'condition',
    what,
    found: problem.found,
    mend: `correct the mapping: ${problem.mend}`,
  }))
}

function notInWal(what: string, table: Table, column: string | undefined): TableProblem[] {
  if (!table.columns.find(({ name }) => name === column)?.isGenerated) return []
  const found = 'a generated column, which the WAL may lack'
  return [
    {
      code: 'condition',
      what,
      found,
      mend: 'correct the mapping: name the columns from which Postgres computes it',
    },
  ]
}

function notInIdentity(
  what: string,
  { name, columns, identityColumns }: Table,
  key: KeyColumns,
): TableProblem[] {
  if (identityColumns.length === 0) return []
  return columnsOfKey(key)
    .filter(column => columns.some(each => each.name === column) && !identityColumns.includes(column))
    .map(column => ({
      code: 'not_in_identity',
      what: `${what}: column ${column}`,
      found: `not in the replica identity of ${tableKey(name)} (${identityColumns.join(', ')})`,
      mend: `a DELETE would not say which entity it concerns. Run: alter table ${tableKey(name)} replica identity full;`,
    }))
}

function fieldsOf(entity: EntityMapping, catalogue: Catalogue): Field[] {
  return [
    ...[...chosenFields(catalogue, entity).fields].map(([column, field]) => ({
      field,
      from: `column ${column}`,
    })),
    ...Object.keys(entity.fields.fixed ?? {}).map(field => ({ field, from: 'a fixed value' })),
    ...entity.related.map(({ field }) => ({ field, from: `related ${field}` })),
  ]
}

/** The table that was probably meant: a similar name in its schema, or the same or a similar name elsewhere. */
function nearestTable(wanted: TableName, tables: readonly TableName[]): TableName | null {
  const near = (among: readonly TableName[]) => {
    const name = nearest(
      wanted.name,
      among.map(table => table.name),
    )
    return among.find(table => table.name === name) ?? null
  }
  return near(tables.filter(({ schema }) => schema === wanted.schema)) ?? near(tables)
}
