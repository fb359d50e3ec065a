import type { Captured, CapturedTable } from '../../domain/capture/captured.ts'
import { type EntityMapping, publishedTables, tableKey } from '../../domain/mapping/mapping.ts'
import { type Lsn, parseLsn } from '../../domain/value/lsn.ts'
import type { Queryable } from '../source/source.ts'

/** The captured objects in one snapshot, and the end of the WAL before and after it. */
export type CapturedNow = {
  readonly captured: Captured
  /** The names of partitions by OID, and the lower 32 bits of the transaction that last changed their pg_class rows. */
  readonly parts: Readonly<Record<string, { readonly name: string; readonly xmin: number }>>
  /** Earlier captured tables that no longer exist under any name. */
  readonly droppedOids: readonly number[]
  /** Every transaction below this id has ended. */
  readonly endedXid: string
  readonly beforeLsn: Lsn
  readonly afterLsn: Lsn
}

/**
 * Catalogue rows by OID and `xmin`: equal values are the same version, unchanged between two readings; removing and adding
 * again gives another. Freezing keeps `xmin`. https://www.postgresql.org/docs/current/ddl-system-columns.html
 *
 * A table is published by its own row, or by its partitioned parents or schema. For a schema, the row with the table's schema
 * counts too, which only SET SCHEMA changes. Files of partitions are compared, since the WAL lacks their TRUNCATE and
 * unlogged writes.
 *
 * It locks no table, unlike `pg_partition_tree`, so it never waits for an ALTER TABLE.
 */
const capturedStatement = `
select json_build_object(
  'databaseOid', (select oid::int8 from pg_database where datname = current_database()),
  'databaseName', current_database(),
  'timeline', ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int,
  'publication', (
    select json_build_object('oid', p.oid::int8, 'version', p.xmin::text, 'owner', p.pubowner::int8,
                             'options', to_jsonb(p) - '{oid,pubname,pubowner}'::text[])
    from pg_publication p where p.pubname = $1),
  'tables', coalesce((
    select json_agg(json_build_object(
      'schema', n.nspname, 'name', c.relname, 'oid', c.oid::int8, 'isLogged', c.relpersistence = 'p',
      'publishedBy', array(
        select format('table %s %s', r.oid, r.xmin)
        from pg_publication p join pg_publication_rel r on r.prpubid = p.oid
        where p.pubname = $1 and r.prrelid in (select c.oid union select pg_partition_ancestors(c.oid))
        {bySchema}),
      'parts', coalesce((
        with recursive tree as (
          select inhrelid, inhrelid || ' ' || xmin as rows from pg_inherits where inhparent = c.oid
          union all
          select i.inhrelid, tree.rows || ', ' || i.inhrelid || ' ' || i.xmin
          from tree join pg_inherits i on i.inhparent = tree.inhrelid)
        select json_agg(json_build_object('oid', leaf.oid::int8, 'rows', tree.rows, 'xmin', leaf.xmin::text::int8,
                                          'file', leaf.relfilenode::int8,
                                          'name', quote_ident(s.nspname) || '.' || quote_ident(leaf.relname)))
        from tree join pg_class leaf on leaf.oid = tree.inhrelid and leaf.relkind <> 'p'
        join pg_namespace s on s.oid = leaf.relnamespace
        where c.relkind = 'p'), '[]')))
    from unnest($2::text[], $3::text[]) as wanted (schema, name)
    join pg_namespace n on n.nspname = wanted.schema
    join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
    where c.relkind in ('r', 'p')), '[]'),
  'droppedOids', array(
    select was.oid from unnest($4::int8[]) as was (oid)
    where not exists (select from pg_class c where c.oid::int8 = was.oid))
) as captured, pg_current_wal_insert_lsn() as lsn, pg_snapshot_xmin(pg_current_snapshot())::text as xid`

/** Schemas in publications came with PostgreSQL 15. */
const bySchemaFrom15 = `
        union all
        select format('schema %s %s %s', s.oid, s.xmin, d.xmin)
        from pg_publication p
        join pg_publication_namespace s on s.pnpubid = p.oid
        join pg_class t on t.relnamespace = s.pnnspid
        join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = t.oid and d.objsubid = 0
                        and d.refclassid = 'pg_namespace'::regclass
        where p.pubname = $1 and t.oid in (select c.oid union select pg_partition_ancestors(c.oid))`

type FoundInCatalogue = Omit<Captured, 'tables' | 'systemIdentifier'> & {
  readonly droppedOids: readonly number[]
  readonly tables: readonly (Omit<CapturedTable, 'parts'> & {
    readonly schema: string
    readonly name: string
    readonly parts: readonly {
      readonly oid: number
      readonly rows: string
      readonly xmin: number
      readonly file: number
      readonly name: string
    }[]
  })[]
}

/** Reads everything in one statement, so that it is consistent. */
export async function readCaptured(
  db: Queryable,
  options: {
    publicationName: string
    mapping: readonly EntityMapping[]
    systemIdentifier: string
    /** The stored record: its tables are checked for dropped ones. */
    before?: Captured | null
  },
): Promise<CapturedNow> {
  const tables = publishedTables(options.mapping)
  const { rows: before } = await db.query(
    `select pg_current_wal_insert_lsn() as lsn, current_setting('server_version_num')::int >= 150000 as has_schemas`,
  )
  const { rows } = await db.query({
    // Planned once per connection: it is asked every few seconds, and planning takes most of its time.
    name: 'captured',
    text: capturedStatement.replace('{bySchema}', before[0].has_schemas === 't' ? bySchemaFrom15 : ''),
    values: [
      options.publicationName,
      tables.map(({ schema }) => schema),
      tables.map(({ name }) => name),
      Object.values(options.before?.tables ?? {}).map(({ oid }) => oid),
    ],
  })
  const { tables: found, droppedOids, ...rest } = JSON.parse(rows[0].captured) as FoundInCatalogue
  return {
    captured: {
      ...rest,
      systemIdentifier: options.systemIdentifier,
      tables: Object.fromEntries(
        found.map(({ schema, name, parts, ...table }) => [
          tableKey({ schema, name }),
          {
            ...table,
            parts: Object.fromEntries(parts.map(({ oid, rows }) => [oid, rows])),
            files: Object.fromEntries(parts.map(({ oid, file }) => [oid, file])),
          },
        ]),
      ),
    },
    droppedOids,
    parts: Object.fromEntries(
      found.flatMap(({ parts }) => parts.map(({ oid, name, xmin }) => [oid, { name, xmin }])),
    ),
    endedXid: rows[0].xid,
    beforeLsn: parseLsn(before[0].lsn),
    afterLsn: parseLsn(rows[0].lsn),
  }
}
