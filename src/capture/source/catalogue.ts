import type { Column } from '../../domain/capture/change.ts'
import type { KnownColumn } from '../../domain/capture/known-columns.ts'
import { type ValueType, valueType } from '../../domain/event-types/value-type.ts'
import { type ColumnKind, columnKind } from '../../domain/mapping/credentials.ts'
import {
  type ChoosableColumn,
  chooseFields,
  type EntityMapping,
  type FieldChoice,
  publishedTables,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import { type Format, formatWriter } from '../../domain/value/format.ts'
import { isInteger, type JsonWriter, jsonWriter, type PgType } from '../../domain/value/json-text.ts'
import type { Queryable } from './source.ts'

/**
 * `isGenerated`: computed by Postgres, and by default not in the WAL. `isNotNull`: every row has a value; absent: may be
 * null.
 */
export type TableColumn = {
  readonly name: string
  readonly typeOid: number
  readonly typeName: string
  readonly isGenerated: boolean
  readonly isNotNull?: boolean
}

/** How Postgres computes some of the columns: on write (stored), or on read (virtual, from PostgreSQL 18). */
export type Generated = 'nothing' | 'stored' | 'virtual'

export type Table = {
  readonly name: TableName
  /** Its identity, whatever its name. */
  readonly oid: number
  /** `r` a table, `p` a partitioned one; no other kind can be published. */
  readonly kind: string
  readonly isPartition: boolean
  /** `d` primary key, `f` the whole row, `i` an index, `n` nothing. */
  readonly identity: string
  readonly columns: readonly TableColumn[]
  /** The names of all columns by number; null: dropped. */
  readonly attributes: readonly (string | null)[]
  readonly primaryKey: readonly string[]
  /** The columns that the WAL contains of a row before UPDATE or DELETE. None: both fail once it is published. */
  readonly identityColumns: readonly string[]
  readonly generated: Generated
  readonly generatedInIdentity: Generated
  /** Whether it is in the WAL at all. */
  readonly isLogged: boolean
  /** Columns that are unique alone. */
  readonly uniqueColumns: readonly string[]
  /** The columns of each multi-column unique index. */
  readonly uniqueIndexes?: readonly (readonly string[])[]
  /** The first columns of complete indexes. */
  readonly indexedColumns: readonly string[]
  /** The partitions with rows, each with its own identity. */
  readonly leaves: readonly {
    readonly name: TableName
    readonly identity: string
    readonly hasIdentity: boolean
    readonly generatedInIdentity: Generated
    readonly isLogged: boolean
  }[]
  /**
   * The partition key, and whether the table has a primary key, which later partitions inherit. They inherit nothing else of
   * a replica identity.
   */
  readonly partitionedBy: readonly string[]
  readonly partitionsGetKey: boolean
  /** The foreign keys. */
  readonly references: readonly Reference[]
  /** Whether other tables inherit from it, except as partitions. */
  readonly hasHeirs: boolean
  /** The average size of its rows, with out-of-line values; null: unknown. */
  readonly rowBytes: number | null
  readonly isReadable: boolean
  readonly isOwned: boolean
  readonly owner: string
  /** Whether row level security applies to this role: then Postgres raises an error instead of hiding rows. */
  readonly hidesRows: boolean
  /** Whether it applies to the owner too. */
  readonly isForced: boolean
}

/** A foreign key: `columns` refer to `referenced` of `table`. */
export type Reference = {
  readonly columns: readonly string[]
  readonly table: TableName
  readonly referenced: readonly string[]
}

/** The source's tables and types. */
export type Catalogue = {
  readonly tables: ReadonlyMap<string, Table>
  /** Tables that the mapping may have meant, if one of its own is missing; otherwise empty. */
  readonly otherTables: readonly TableName[]
  /** A format that does not fit the type, as after a change of the type, is ignored. */
  writerOf(typeOid: number, format?: Format): JsonWriter
  hasFormat(typeOid: number, format: Format): boolean
  isInteger(typeOid: number): boolean
  kindOf(typeOid: number): ColumnKind
  /** The type of what `writerOf` writes. */
  valueTypeOf?(typeOid: number, format?: Format): ValueType
  /** The present OID of a column's type, which may have been dropped and created again. */
  typeToday?(column: Pick<Column, 'typeOid' | 'typeName'>): number
  /** True for SQL_ASCII: texts may be invalid UTF-8. */
  readonly hasAnyBytes?: boolean
  /** The labels of an enum, in order; null for other types. */
  labelsOf?(typeOid: number): readonly string[] | null
  /** The base type of a domain; for other types the type itself. */
  baseTypeOf(typeOid: number): number
  /** Present and past names of captured tables' columns. */
  readonly known?: readonly KnownColumn[]
}

/** SQL: whether a table has a replica identity, which UPDATE and DELETE need once it is published. */
export const hasIdentity = (table: 'c' | 'l') => `(${table}.relreplident = 'f' or exists (
  select from pg_index i where i.indrelid = ${table}.oid and (
    (${table}.relreplident = 'd' and i.indisprimary and i.indimmediate) or
    (${table}.relreplident = 'i' and i.indisreplident))))`

const generatedAmong = (table: 'c' | 'l', columns: string) => `(
  select case max(a.attgenerated::text) when 's' then 'stored' when 'v' then 'virtual' else 'nothing' end
  from pg_attribute a where a.attrelid = ${table}.oid and a.attnum > 0 and not a.attisdropped and ${columns})`

/** SQL: the generated columns in a table's replica identity. */
export const generatedInIdentity = (table: 'c' | 'l') =>
  generatedAmong(
    table,
    `(${table}.relreplident = 'f' or exists (
      select from pg_index i where i.indrelid = ${table}.oid and a.attnum = any(i.indkey) and (
        (${table}.relreplident = 'd' and i.indisprimary) or (${table}.relreplident = 'i' and i.indisreplident))))`,
  )

/** SQL: a table and all its partitions. Unlike Postgres' own function, it waits for no lock. */
export const partitionTree = (oid: string) => `
  with recursive tree (oid) as (
    select ${oid} union all select i.inhrelid from tree join pg_inherits i on i.inhparent = tree.oid
  ) select oid from tree`

const tablesStatement = `
select
  n.nspname as schema, c.relname as name, c.oid::int8 as oid, c.relkind as kind, c.relispartition as is_partition,
  c.relreplident as identity, c.relpersistence = 'p' as is_logged,
  ${generatedAmong('c', 'true')} as generated, ${generatedInIdentity('c')} as generated_in_identity,
  has_table_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage') as is_readable,
  pg_has_role(c.relowner, 'usage') as is_owned, pg_get_userbyid(c.relowner) as owner,
  row_security_active(c.oid) as hides_rows, c.relforcerowsecurity as is_forced,
  (select json_agg(json_build_object('name', a.attname, 'typeOid', a.atttypid::int8,
                                     'typeName', format_type(a.atttypid, a.atttypmod),
                                     'isGenerated', a.attgenerated <> '',
                                     -- From PostgreSQL 18 on, rows may be null that were there before the constraint.
                                     'isNotNull', a.attnotnull and not exists (
                                       select from pg_constraint k where k.conrelid = c.oid and k.contype = 'n'
                                       and not k.convalidated and a.attnum = any(k.conkey))) order by a.attnum)
   from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
  (select json_agg(case when not a.attisdropped then a.attname end order by a.attnum)
   from pg_attribute a where a.attrelid = c.oid and a.attnum > 0) as attributes,
  (select json_agg(a.attname order by k.position)
   from pg_index i cross join unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
   join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
   where i.indrelid = c.oid and i.indisprimary) as primary_key,
  -- A deferrable primary key is no identity.
  exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary and not i.indimmediate) as is_key_deferrable,
  (select json_agg(a.attname)
   from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
   where i.indrelid = c.oid and i.indisunique and i.indnkeyatts = 1 and i.indpred is null and i.indisvalid)
    as unique_columns,
  (select json_agg((select json_agg(a.attname) from pg_attribute a
                    where a.attrelid = c.oid and a.attnum = any((i.indkey::int2[])[0:i.indnkeyatts - 1])))
   from pg_index i
   where i.indrelid = c.oid and i.indisunique and i.indnkeyatts > 1 and i.indpred is null and i.indexprs is null and i.indisvalid)
    as unique_indexes,
  (select json_agg(distinct a.attname)
   from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
   where i.indrelid = c.oid and i.indpred is null and i.indisvalid) as indexed_columns,
  (select json_agg(json_build_object('name', json_build_object('schema', ln.nspname, 'name', l.relname),
                                     'identity', l.relreplident, 'hasIdentity', ${hasIdentity('l')},
                                     'generatedInIdentity', ${generatedInIdentity('l')},
                                     'isLogged', l.relpersistence = 'p'))
   from (${partitionTree('c.oid')}) t join pg_class l on l.oid = t.oid join pg_namespace ln on ln.oid = l.relnamespace
   where c.relkind = 'p' and l.relkind = 'r') as leaves,
  (select json_agg(a.attname order by k.position)
   from pg_partitioned_table t cross join unnest(t.partattrs::int2[]) with ordinality as k (attnum, position)
   join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
   where t.partrelid = c.oid) as partitioned_by,
  (select json_agg(json_build_object(
     'columns', (select json_agg(a.attname order by k.position)
                 from unnest(f.conkey) with ordinality as k (attnum, position)
                 join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.attnum),
     'table', json_build_object('schema', fn.nspname, 'name', r.relname),
     'referenced', (select json_agg(a.attname order by k.position)
                    from unnest(f.confkey) with ordinality as k (attnum, position)
                    join pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.attnum)))
   from pg_constraint f join pg_class r on r.oid = f.confrelid join pg_namespace fn on fn.oid = r.relnamespace
   where f.conrelid = c.oid and f.contype = 'f') as refs,
  c.relkind = 'r' and exists (select from pg_inherits where inhparent = c.oid) as has_heirs,
  case when c.reltuples > 0 then
    ((c.relpages + coalesce((select toast.relpages from pg_class toast where toast.oid = c.reltoastrelid), 0))
     * current_setting('block_size')::int8 / c.reltuples)::int8
  end as row_bytes,
  (select json_agg(a.attname)
   from pg_index i cross join unnest(i.indkey::int2[]) as k (attnum)
   join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
   where i.indrelid = c.oid and i.indisreplident) as index_columns
from unnest($1::text[], $2::text[]) as wanted (schema, name)
join pg_namespace n on n.nspname = wanted.schema
join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
where c.relkind in ('r', 'p', 'v', 'm', 'f')`

const typesStatement = `
select t.oid::int8 as oid, n.nspname || '.' || t.typname as name, typbasetype::int8 as base_oid, typdelim as delimiter,
       -- Of int2vector and oidvector the text has no braces.
       case when typsubscript = 'array_subscript_handler'::regproc and typoutput = 'array_out'::regproc then typelem::int8
            else 0 end as element_oid,
       (select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid) as labels
from pg_type t join pg_namespace n on n.oid = t.typnamespace`

const otherTablesStatement = `
select n.nspname as schema, c.relname as name
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'walhook')
order by 1, 2 limit 10000`

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

/** Whether the WAL has complete rows before each UPDATE and DELETE, also in every partition. */
export function givesPrevious(table: Table): boolean {
  return table.identity === 'f' && table.leaves.every(({ identity }) => identity === 'f')
}

/** The columns of a table or a relation, as `chooseFields` judges them. */
export function choosable(
  { kindOf }: Pick<Catalogue, 'kindOf'>,
  columns: readonly { readonly name: string; readonly typeOid: number }[],
): ChoosableColumn[] {
  return columns.map(({ name, typeOid }) => ({ name, kind: kindOf(typeOid) }))
}

/** The sent and the withheld columns of an entity's table. */
export function chosenFields(
  catalogue: Pick<Catalogue, 'tables' | 'kindOf'>,
  entity: EntityMapping,
): FieldChoice {
  const columns = catalogue.tables.get(tableKey(entity.table))?.columns ?? []
  return chooseFields(entity, choosable(catalogue, columns))
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
