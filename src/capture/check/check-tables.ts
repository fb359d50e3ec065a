import { type CheckLine, ok, warning } from '../../domain/capture/check-line.ts'
import { columnsOfKey, keyName } from '../../domain/mapping/entity-key.ts'
import { type Stop, stopsOf } from '../../domain/mapping/hops.ts'
import { type EntityMapping, quoteIdentifier, tableKey } from '../../domain/mapping/mapping.ts'
import type { Conditions } from '../../domain/mapping/row-filter.ts'
import { type Catalogue, givesPrevious, type Table } from '../verdict/catalogue.ts'
import { refusesUnpublished, type SourceFacts } from '../verdict/preflight-verdict.ts'
import { checkStop } from '../verdict/relation-verdict.ts'
import { conditionsWithoutBefore, lastWithoutBefore, withoutBefore } from '../verdict/rows-before.ts'
import { futureFailure } from '../verdict/table-verdict.ts'

export function tableLines(
  catalogue: Catalogue,
  key: string,
  publicationName: string,
  facts: SourceFacts,
): CheckLine[] {
  const table = catalogue.tables.get(key)
  if (!table) return []
  const lines = [ok('table', `table ${key}`, kindText(table)), previousLine(table, publicationName, facts)]
  if (table.hasHeirs)
    lines.push(
      warning(
        'inheritance',
        `table ${key}, inheritance`,
        'other tables inherit from it: walhook does not capture their rows',
        'map each of them as an entity, or convert it to a partitioned table',
      ),
    )
  const future = futureFailure(table)
  // Before publishing it is a problem.
  if (future && facts.publication !== null)
    lines.push(warning('future_partitions', future.what, future.found, future.mend))
  return lines
}

function kindText(table: Table): string {
  const identity = table.identity === 'f' ? 'full' : table.identityColumns.join(', ')
  const readable = `readable, replica identity ${identity}`
  if (table.kind === 'p')
    return `${readable}, partitioned (${table.leaves.length} with rows): TRUNCATE, DETACH or DROP of a partition sends no deletes of its rows`
  return table.isPartition ? `${readable}, a partition` : readable
}

/** Whether updates of a table contain the values before, and how to get them. */
function previousLine(table: Table, publicationName: string, facts: SourceFacts): CheckLine {
  const key = tableKey(table.name)
  const what = `table ${key}, previous values`
  if (givesPrevious(table))
    return ok('previous', what, 'sent: the WAL contains the whole row before an UPDATE')
  const notSent = 'not sent: webhooks get no "previous", and all updates, whatever their update fields.'
  if (table.generated === 'virtual' && refusesUnpublished(facts))
    return ok(
      'previous',
      what,
      `${notSent} walhook can't change that: with virtual generated columns, replica identity FULL would make the application's own UPDATE fail`,
    )
  const lacking = [
    ...(table.identity === 'f' ? [] : [table.name]),
    ...table.leaves.filter(({ identity }) => identity !== 'f').map(({ name }) => name),
  ]
  const isLeftOut = table.generated === 'stored' && facts.publication?.publishesGenerated === false
  const sql = [
    ...(isLeftOut ? [`alter publication ${publicationName} set (publish_generated_columns = stored);`] : []),
    ...lacking.map(name => `alter table ${tableKey(name)} replica identity full;`),
  ].join(' ')
  const size = table.rowBytes === null ? 'the size of a row' : `about ${table.rowBytes} bytes`
  return ok(
    'previous',
    what,
    `${notSent} To send them: ${sql} Each UPDATE and DELETE then also writes the row before to the WAL, ${size} more`,
  )
}

/** Rows with the same key are one entity. A partitioned table can be unique only together with its partition key. */
export function uniqueLine(catalogue: Catalogue, entity: EntityMapping): CheckLine | null {
  const table = catalogue.tables.get(tableKey(entity.table))
  const key = columnsOfKey(entity.key)
  if (!table || !key.every(column => table.columns.some(({ name }) => name === column))) return null
  const what = `entity ${entity.entityType}, key ${keyName(entity.key)}`
  const isAmong = (columns: readonly string[]) =>
    columns.length > 0 && columns.every(column => key.includes(column))
  const isUnique =
    key.some(column => table.uniqueColumns.includes(column)) ||
    (key.length > 1 && isAmong(table.primaryKey)) ||
    table.uniqueIndexes?.some(isAmong)
  if (isUnique) return ok('key_unique', what, 'unique')
  if (table.kind === 'p' && key.every(column => table.primaryKey.includes(column)))
    return ok('key_unique', what, 'part of the primary key')
  return warning(
    'key_unique',
    what,
    'no constraint makes it unique, and walhook takes rows with the same key for one entity',
    `run: create unique index concurrently on ${tableKey(table.name)} (${key.map(quoteIdentifier).join(', ')});`,
  )
}

/** Whether the WAL contains the earlier values that `where` and `deleted_when` need. */
export function conditionLine(catalogue: Catalogue, entity: EntityMapping): CheckLine | null {
  if (!entity.rows || !catalogue.tables.has(tableKey(entity.table))) return null
  const what = `entity ${entity.entityType}, where and deleted_when`
  const { table, key, rows } = entity
  const lacking = conditionsWithoutBefore(catalogue, { table, key, rows })
  if (!lacking)
    return ok('condition_before', what, 'exact: the WAL contains the earlier values that they need')
  return warning(
    'condition_before',
    what,
    `the WAL lacks the earlier values of ${lacking.columns.join(', ')}: ${withoutBefore}`,
    lacking.sql === null
      ? `see the line "table ${tableKey(entity.table)}, previous values"`
      : `run: ${lacking.sql}`,
  )
}

/** Whether the WAL contains the values for `last` of a `delete`. */
export function lastLine(catalogue: Catalogue, entity: EntityMapping): CheckLine | null {
  if (entity.last === undefined || !catalogue.tables.has(tableKey(entity.table))) return null
  const what = `entity ${entity.entityType}, last`
  const sql = lastWithoutBefore(catalogue, entity)
  if (sql === undefined) return ok('last_values', what, 'sent: the WAL contains the whole deleted row')
  return warning(
    'last_values',
    what,
    'not sent: the WAL contains only the replica identity of a deleted row',
    sql === null ? `see the line "table ${tableKey(entity.table)}, previous values"` : `run: ${sql}`,
  )
}

/** Whether the WAL contains the tenant of deleted rows, and of rows before they move. */
export function tenantLine(catalogue: Catalogue, entity: EntityMapping): CheckLine | null {
  const { entityType, table, key, tenant } = entity
  if (tenant === undefined || !catalogue.tables.has(tableKey(table))) return null
  const what = `entity ${entityType}, tenant ${tenant}`
  const lacking = conditionsWithoutBefore(catalogue, { table, key, tenant })
  if (!lacking) return ok('tenant_before', what, 'exact: the WAL contains the tenant of a deleted row')
  return warning(
    'tenant_before',
    what,
    'the WAL lacks the tenant of a deleted row: webhooks of a tenant get no delete, also when a row moves to another tenant',
    lacking.sql === null ? `see the line "table ${tableKey(table)}, previous values"` : `run: ${lacking.sql}`,
  )
}

/** Whether related lists can contain anything, and what the WAL has of their rows. */
export function relationLines(
  catalogue: Catalogue,
  entity: EntityMapping,
  facts: Pick<SourceFacts, 'publication'>,
): CheckLine[] {
  return entity.related.flatMap(related =>
    stopsOf(related).flatMap((stop, at) => {
      const isOwn =
        at === 0 &&
        tableKey(stop.table) === tableKey(entity.table) &&
        keyName(stop.owner) === keyName(entity.key)
      const verdict = checkStop(catalogue, { entity, related, at }, facts)
      const of = `entity ${entity.entityType}, related ${related.field}`
      const what = `${of}: column ${keyName(stop.owner)}${at === 0 ? '' : ` of ${tableKey(stop.table)}`}`
      const line: CheckLine =
        verdict.level === 'ok' ? ok('relation', what, verdict.found) : { code: 'relation', what, ...verdict }
      return [
        ...(isOwn ? [] : [line]),
        ...indexLine(catalogue, of, stop),
        ...relatedConditionLine(
          catalogue,
          of,
          stop,
          at < (related.through ?? []).length ? stop.rows?.where : related.where,
        ),
      ]
    }),
  )
}

/** walhook finds the owners of a changed row by this column. */
function indexLine(catalogue: Catalogue, of: string, { table, to }: Stop): CheckLine[] {
  const found = catalogue.tables.get(tableKey(table))
  if (to === null || !found?.columns.some(({ name }) => name === to)) return []
  const what = `${of}: column ${to} of ${tableKey(table)}`
  if (found.indexedColumns.includes(to)) return [ok('hop_index', what, 'has an index')]
  return [
    warning(
      'hop_index',
      what,
      'has no index: each change of a row that it refers to reads the whole table',
      `run: create index concurrently on ${tableKey(table)} (${quoteIdentifier(to)});`,
    ),
  ]
}

/** Without the row before, receivers get extra updates, and never too few: no fix is needed. */
function relatedConditionLine(
  catalogue: Catalogue,
  of: string,
  { table, owner }: Stop,
  where: Conditions | undefined,
): CheckLine[] {
  if (!where || !catalogue.tables.has(tableKey(table))) return []
  const what = `${of}: where`
  const rows = { where, deletedWhen: [] }
  const lacking = conditionsWithoutBefore(catalogue, { table, rows, key: owner })
  if (!lacking)
    return [ok('condition_before', what, 'exact: the WAL contains the earlier values that it needs')]
  const found = `the WAL lacks the earlier values of ${lacking.columns.join(', ')}: an UPDATE or DELETE of a row that never matched also sends an update of its owner.`
  const more = lacking.sql === null ? '' : ` To avoid that: ${lacking.sql}`
  return [ok('condition_before', what, `${found}${more}`)]
}
