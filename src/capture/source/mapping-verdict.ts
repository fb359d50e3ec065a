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
import { type Conditions, conditionProblems, type RowFilter } from '../../domain/mapping/row-filter.ts'
import { formats } from '../../domain/value/format.ts'
import { nearest } from '../../domain/value/nearest.ts'
import { type Catalogue, chosenFields, givesPrevious, type Table } from './catalogue.ts'
import type { SourceFacts, TableProblem } from './preflight-verdict.ts'
import { judgeStop } from './relation-verdict.ts'
import { judgeTable } from './table-verdict.ts'

function mendOf(column: string, names: readonly string[]): string {
  const meant = nearest(column, names)
  return meant === null ? 'fix the mapping' : `fix the mapping: did you mean ${meant}?`
}

/** The statements that move a table back, or the change of the mapping. */
function mendOfMoved(was: TableName, now: TableName): string {
  const isElsewhere = now.schema !== was.schema
  const move = `alter table ${tableKey(now)} set schema ${quoteIdentifier(was.schema)};`
  const rename = `alter table ${tableKey({ ...now, schema: was.schema })} rename to ${quoteIdentifier(was.name)};`
  const back = [...(isElsewhere ? [move] : []), ...(now.name === was.name ? [] : [rename])].join(' ')
  return `run: ${back}  Or write ${now.schema}.${now.name} in the mapping (WALHOOK_CONFIG), and restart walhook`
}

/** The mapped tables must exist, be readable, have the named columns, and an identity with which no statement fails. */
export function judgeMapping(
  catalogue: Catalogue,
  mapping: readonly EntityMapping[],
  facts: Pick<SourceFacts, 'role' | 'serverVersion' | 'publication'>,
  /** The present names of captured tables that were renamed or moved. */
  moved: ReadonlyMap<string, TableName> = new Map(),
): TableProblem[] {
  const problems: TableProblem[] = []
  const add = (code: TableProblem['code'], what: string, found: string, mend: string) =>
    problems.push({ code, what, found, mend })

  function requireColumns(what: string, table: Table, columns: ReadonlySet<string>) {
    const names = table.columns.map(column => column.name)
    for (const column of [...columns].filter(name => !names.includes(name)))
      add(
        'column_missing',
        `${what}: column ${column}`,
        `${tableKey(table.name)} has ${names.join(', ')}`,
        mendOf(column, names),
      )
  }

  for (const name of publishedTables(mapping)) {
    const key = tableKey(name)
    const table = catalogue.tables.get(key)
    if (table) {
      problems.push(...judgeTable(table, facts))
      continue
    }
    const now = moved.get(key)
    if (now) {
      add('table_moved', `table ${key}`, `missing: it is ${tableKey(now)} now`, mendOfMoved(name, now))
      continue
    }
    const meant = nearestTable(name, catalogue.otherTables)
    add(
      'table_missing',
      `table ${key}`,
      'missing',
      meant === null
        ? 'create it, or name the right table in the mapping (WALHOOK_CONFIG)'
        : `create it, or fix the mapping (WALHOOK_CONFIG): did you mean ${tableKey(meant)}?`,
    )
  }
  for (const entity of mapping) {
    const table = catalogue.tables.get(tableKey(entity.table))
    if (table) {
      const rules = entity.fields
      const ruled = [...Object.keys(rules.rename), ...Object.keys(rules.format ?? {})]
      const named = [
        ...[...columnsOfKey(entity.key), ...(rules.include ?? []), ...rules.omit, ...ruled],
        ...decidingColumns(entity),
        ...(entity.last === undefined || entity.last === 'all' ? [] : entity.last),
      ]
      requireColumns(`entity ${entity.entityType}`, table, new Set(named))
      requireFormats(`entity ${entity.entityType}`, table, rules.format)
      const { where = [], deletedWhen = [] } = entity.rows ?? {}
      requireConditions(`entity ${entity.entityType}`, table, [...where, ...deletedWhen], 'in the WAL')
      requireInWal(`entity ${entity.entityType}: tenant ${entity.tenant}`, table, entity.tenant)
      requireIdentity(`entity ${entity.entityType}`, table, entity.key)
      requireOneOfEach(`entity ${entity.entityType}`, fieldsOf(entity, catalogue))
      requireLabel(entity)
    }
    for (const related of entity.related) judgeRelated(entity, related)
  }
  return problems

  function judgeRelated(entity: EntityMapping, related: RelatedList) {
    const what = `entity ${entity.entityType}, related ${related.field}`
    for (const [at, stop] of stopsOf(related).entries()) {
      const table = catalogue.tables.get(tableKey(stop.table))
      if (!table) continue
      const of = stop.to === null ? what : `${what}, through ${tableKey(stop.table)}`
      requireColumns(of, table, new Set(columnsOf(stop)))
      requireConditions(
        of,
        table,
        (at < (related.through ?? []).length ? stop.rows?.where : related.where) ?? [],
      )
      requireIdentity(of, table, stop.owner)
      const verdict = judgeStop(catalogue, { entity, related, at }, facts)
      if (verdict.level === 'error')
        add('relation', `${of}: column ${keyName(stop.owner)}`, verdict.found, verdict.mend)
      if (stop.to !== null) continue
      requireFormats(what, table, related.format)
      const fields = related.columns.map(column => ({
        field: ruleOf(related.rename, column) ?? column,
        from: `column ${column}`,
      }))
      requireOneOfEach(what, fields)
    }
  }

  /** Receivers read JSON with a duplicate name differently. */
  function requireOneOfEach(what: string, all: readonly { field: string; from: string }[]) {
    for (const [field, same] of Map.groupBy(all, each => each.field))
      if (same.length > 1)
        add(
          'field_twice',
          `${what}: field ${field}`,
          `twice: ${same.map(({ from }) => from).join(' and ')}`,
          'rename or omit one of them in the mapping',
        )
  }

  function requireLabel(entity: EntityMapping) {
    const names = fieldsOf(entity, catalogue).map(({ field }) => field)
    for (const name of (entity.label ?? []).filter(name => !names.includes(name)))
      add(
        'label',
        `entity ${entity.entityType}: label ${name}`,
        `its fields are ${names.join(', ')}`,
        mendOf(name, names),
      )
  }

  function requireFormats(what: string, table: Table, rules: FieldRules['format'] = {}) {
    for (const { name, typeOid, typeName } of table.columns) {
      const format = ruleOf(rules, name)
      if (format === undefined || catalogue.hasFormat(typeOid, format)) continue
      const fitting = formats.filter(each => catalogue.hasFormat(typeOid, each))
      add(
        'format',
        `${what}: column ${name}`,
        `the format ${format} does not fit its type ${typeName}`,
        `fix the mapping: ${fitting.length === 0 ? 'this type has no formats' : `its formats are ${fitting.join(', ')}`}`,
      )
    }
  }

  /** Compared values must fit the column's type, and the WAL must contain the column if needed. */
  function requireConditions(what: string, table: Table, conditions: Conditions, be?: 'in the WAL') {
    for (const { column, tests } of conditions) {
      const found = table.columns.find(({ name }) => name === column)
      if (!found) continue
      const { typeOid, typeName } = found
      const about = `${what}: condition of column ${column}`
      if (be === 'in the WAL') requireInWal(about, table, column)
      for (const problem of conditionProblems(tests, comparedBy(catalogue, typeOid), typeName))
        add('condition', about, problem.found, `fix the mapping: ${problem.mend}`)
    }
  }

  function requireInWal(what: string, table: Table, column: string | undefined) {
    if (table.columns.find(({ name }) => name === column)?.isGenerated)
      add(
        'condition',
        what,
        'a generated column, which the WAL may lack',
        'fix the mapping: name the columns from which Postgres computes it',
      )
  }

  function requireIdentity(what: string, table: Table, key: KeyColumns) {
    const isThere = (column: string) => table.columns.some(({ name }) => name === column)
    const isGiven = (column: string) => table.identityColumns.includes(column)
    if (table.identityColumns.length === 0) return
    for (const column of columnsOfKey(key).filter(column => isThere(column) && !isGiven(column)))
      add(
        'not_in_identity',
        `${what}: column ${column}`,
        `not in the replica identity of ${tableKey(table.name)} (${table.identityColumns.join(', ')})`,
        `a DELETE would not say which entity it concerns. Run: alter table ${tableKey(table.name)} replica identity full;`,
      )
  }
}

/**
 * The condition columns whose earlier values the WAL lacks, and the SQL that adds them: null if generated columns prevent
 * that. Null: none.
 */
export function conditionsWithoutBefore(
  { tables }: Pick<Catalogue, 'tables'>,
  of: {
    readonly table: TableName
    readonly rows?: RowFilter
    readonly tenant?: string
    readonly key?: KeyColumns
  },
): { columns: readonly string[]; sql: string | null } | null {
  const table = tables.get(tableKey(of.table))
  if (!table || givesPrevious(table)) return null
  const isGiven = (column: string) =>
    table.identity !== 'f' &&
    table.leaves.every(({ identity }) => identity === table.identity) &&
    table.identityColumns.includes(column)
  const columns = decidingColumns(of).filter(
    column => !columnsOfKey(of.key ?? []).includes(column) && !isGiven(column),
  )
  if (columns.length === 0) return null
  return { columns, sql: sqlOfWholeRows(table) }
}

/** The SQL for complete rows before a DELETE, which `last` needs; null: generated columns prevent that. Undefined: not needed. */
export function lastWithoutBefore(
  { tables }: Pick<Catalogue, 'tables'>,
  { table, last }: Pick<EntityMapping, 'table' | 'last'>,
): string | null | undefined {
  const found = tables.get(tableKey(table))
  return last === undefined || !found || givesPrevious(found) ? undefined : sqlOfWholeRows(found)
}

/** Null: generated columns prevent it. */
function sqlOfWholeRows(table: Table): string | null {
  if (table.generated !== 'nothing') return null
  const lacking = [table, ...table.leaves].filter(({ identity }) => identity !== 'f')
  return lacking.map(({ name }) => `alter table ${tableKey(name)} replica identity full;`).join(' ')
}

/**
 * The entity types whose updates lack the values before, each with the SQL that adds them. Null for tables with generated
 * columns: REPLICA IDENTITY FULL alone may make the application's UPDATE fail, and `check` knows the rest.
 */
export function untoldPrevious(
  { tables }: Pick<Catalogue, 'tables'>,
  mapping: readonly EntityMapping[],
): Map<string, string | null> {
  return new Map(
    mapping.flatMap(({ entityType, table }): (readonly [string, string | null])[] => {
      const found = tables.get(tableKey(table))
      if (!found || givesPrevious(found)) return []
      if (found.generated !== 'nothing') return [[entityType, null]]
      const parts = [found, ...found.leaves].filter(({ identity }) => identity !== 'f')
      const sql = parts.map(({ name }) => `alter table ${tableKey(name)} replica identity full;`).join(' ')
      return [[entityType, sql]]
    }),
  )
}

/** The effect of an unknown row before. */
export const withoutBefore =
  'an UPDATE to a matching row is always sent as update; an UPDATE to another row, or a DELETE, always as delete, even of a row that never matched'

function fieldsOf(entity: EntityMapping, catalogue: Catalogue): { field: string; from: string }[] {
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
