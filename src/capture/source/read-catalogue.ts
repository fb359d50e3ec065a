import { valueType } from '../../domain/event-types/value-type.ts'
import { columnKind } from '../../domain/mapping/credentials.ts'
import { type EntityMapping, publishedTables, tableKey } from '../../domain/mapping/mapping.ts'
import { formatWriter } from '../../domain/value/format.ts'
import { isInteger, type JsonWriter, jsonWriter, type PgType } from '../../domain/value/json-text.ts'
import type { Catalogue, Generated, Table } from '../verdict/catalogue.ts'
import { otherTablesStatement, tablesStatement, typesStatement } from './catalogue-sql.ts'
import type { Queryable } from './source.ts'

/** Reads a mapping's tables and all types. Missing tables are absent. Waits for no table's lock. */
export async function readCatalogue(
  source: { pool: Queryable },
  mapping: readonly EntityMapping[],
): Promise<Catalogue> {
  const wanted = publishedTables(mapping)
  const found = await source.pool.query(tablesStatement, [
    wanted.map(table => table.schema),
    wanted.map(table => table.name),
  ])
  const tables = new Map(found.rows.map(toTable).map(table => [tableKey(table.name), table]))
  const isComplete = tables.size === wanted.length
  const others = isComplete ? [] : (await source.pool.query(otherTablesStatement)).rows

  const { rows: encodings } = await source.pool.query(
    `select current_setting('server_encoding') = 'SQL_ASCII' as has_any_bytes`,
  )
  const { rows } = await source.pool.query(typesStatement)
  const types = new Map<number, PgType>(
    rows.map(row => {
      const oid = Number(row.oid)
      const type = { oid, baseOid: Number(row.base_oid), elementOid: Number(row.element_oid) }
      return [oid, { ...type, delimiter: row.delimiter }]
    }),
  )
  const typeOf = (oid: number) => types.get(oid)
  const oids = new Map<string, number>(rows.map(row => [row.name, Number(row.oid)]))
  const enums = rows.filter(row => row.labels !== null)
  const labels = new Map<number, string[]>(enums.map(row => [Number(row.oid), JSON.parse(row.labels)]))
  const labelsOf = (oid: number) => labels.get(oid) ?? null
  const writers = new Map<number, JsonWriter>()
  return {
    tables,
    otherTables: others.map(({ schema, name }) => ({ schema, name })),
    hasAnyBytes: encodings[0].has_any_bytes === 't',
    isInteger: oid => isInteger(oid, typeOf),
    kindOf: oid => columnKind(oid, typeOf),
    valueTypeOf: (oid, format) => valueType(oid, format, { typeOf, labelsOf }),
    labelsOf,
    baseTypeOf: oid => {
      let base = oid
      for (let next = typeOf(base)?.baseOid; next; next = typeOf(base)?.baseOid) base = next
      return base
    },
    typeToday: ({ typeOid, typeName }) =>
      types.has(typeOid) ? typeOid : ((typeName === undefined ? undefined : oids.get(typeName)) ?? typeOid),
    hasFormat: (oid, format) => formatWriter(format, oid, typeOf) !== null,
    writerOf(oid, format) {
      const formatted = format && formatWriter(format, oid, typeOf)
      if (formatted) return formatted
      const writer = writers.get(oid) ?? jsonWriter(oid, typeOf)
      writers.set(oid, writer)
      return writer
    },
  }
}

// All values are text.
function toTable(row: Record<string, string | null>): Table {
  const columns: Table['columns'] = JSON.parse(row.columns ?? '[]')
  const primaryKey: string[] = JSON.parse(row.primary_key ?? '[]')
  const byIdentity: Record<string, string[]> = {
    d: row.is_key_deferrable === 't' ? [] : primaryKey,
    f: columns.map(column => column.name),
    i: JSON.parse(row.index_columns ?? '[]'),
  }
  return {
    name: { schema: row.schema!, name: row.name! },
    oid: Number(row.oid),
    kind: row.kind!,
    isPartition: row.is_partition === 't',
    identity: row.identity!,
    columns,
    attributes: JSON.parse(row.attributes ?? '[]'),
    primaryKey,
    identityColumns: byIdentity[row.identity!] ?? [],
    generated: row.generated as Generated,
    // For a partitioned table, its partitions decide.
    generatedInIdentity: row.kind === 'r' ? (row.generated_in_identity as Generated) : 'nothing',
    isLogged: row.is_logged === 't',
    uniqueColumns: JSON.parse(row.unique_columns ?? '[]'),
    uniqueIndexes: JSON.parse(row.unique_indexes ?? '[]'),
    indexedColumns: JSON.parse(row.indexed_columns ?? '[]'),
    leaves: JSON.parse(row.leaves ?? '[]'),
    partitionedBy: JSON.parse(row.partitioned_by ?? '[]'),
    partitionsGetKey: primaryKey.length > 0 && row.is_key_deferrable !== 't',
    references: JSON.parse(row.refs ?? '[]'),
    hasHeirs: row.has_heirs === 't',
    rowBytes: row.row_bytes === null ? null : Number(row.row_bytes),
    isReadable: row.is_readable === 't',
    isOwned: row.is_owned === 't',
    owner: row.owner!,
    hidesRows: row.hides_rows === 't',
    isForced: row.is_forced === 't',
  }
}
