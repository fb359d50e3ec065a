import type { PublicationFacts } from '../verdict/preflight-verdict.ts'
import { generatedInIdentity, hasIdentity, partitionTree } from './catalogue-sql.ts'
import type { Queryable } from './source.ts'

/** Tables under a published one, or itself, that meet a condition. */
const ofTablesUnder = (what: string, condition: string) => `(
  select ${what}
  from (${partitionTree('t.oid')}) tree join pg_class l on l.oid = tree.oid join pg_namespace ln on ln.oid = l.relnamespace
  where l.relkind = 'r' and ${condition})`

/**
 * The publication, and the tables under whose names it publishes changes. It reads the catalogue itself, since
 * `pg_publication_tables` waits for table locks.
 *
 * - member: tables in it by name, or by schema (from PostgreSQL 15 on)
 * - part: each member and its partitions
 * - published: via the root, members that are no partition of another; otherwise the tables with the rows
 */
const statement = `
with recursive publication as (
  select * from pg_publication where pubname = $1
), member as (
  select r.prrelid as oid, {hasFilter} as has_filter, {hasColumns} as has_columns
  from publication p join pg_publication_rel r on r.prpubid = p.oid
  union all
  select c.oid, false, false
  from publication p join {schemas} s on s.pnpubid = p.oid join pg_class c on c.relnamespace = s.pnnspid
  where c.relkind in ('r', 'p') and c.relpersistence = 'p'
), part (oid, member) as (
  select oid, oid from member
  union
  select i.inhrelid, part.member from part
  join pg_class c on c.oid = part.oid and c.relkind = 'p' join pg_inherits i on i.inhparent = c.oid
), published as (
  select part.oid, bool_or(m.has_filter) as has_filter, bool_or(m.has_columns) as has_columns
  from publication p, part join member m on m.oid = part.member join pg_class c on c.oid = part.oid
  where case when p.pubviaroot
          then part.oid = part.member and not exists (select from part o where o.oid = part.oid and o.member <> part.oid)
          else c.relkind = 'r' end
  group by part.oid
)
select json_build_object(
  'isForAllTables', p.puballtables,
  'publishesAll', p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate,
  'isOwned', pg_has_role(p.pubowner, 'usage'),
  'viaRoot', p.pubviaroot,
  'publishesGenerated', {publishesGenerated},
  'schemas', coalesce((
    select json_agg(n.nspname order by n.nspname)
    from {schemas} s join pg_namespace n on n.oid = s.pnnspid where s.pnpubid = p.oid), '[]'),
  'tables', coalesce((
    select json_agg(json_build_object(
      'schema', n.nspname, 'name', c.relname, 'hasFilter', t.has_filter, 'hasColumnList', t.has_columns,
      'withoutIdentity', coalesce(${ofTablesUnder("json_agg(format('%I.%I', ln.nspname, l.relname) order by l.oid)", `not ${hasIdentity('l')}`)}, '[]'),
      'generatedInIdentity', ${ofTablesUnder(`coalesce(max(${generatedInIdentity('l')}), 'nothing')`, 'true')}
    ) order by n.nspname, c.relname)
    from published t join pg_class c on c.oid = t.oid join pg_namespace n on n.oid = c.relnamespace), '[]')
) as facts
from publication p`

/** A publication's content; null: it does not exist. */
export async function readPublication(
  db: Queryable,
  publicationName: string,
  serverVersion: number,
): Promise<PublicationFacts | null> {
  // Schemas, row filters and column lists came with PostgreSQL 15.
  const isOld = serverVersion < 150000
  const text = statement
    .replaceAll(
      '{schemas}',
      isOld ? '(select 0::oid as pnpubid, 0::oid as pnnspid where false)' : 'pg_publication_namespace',
    )
    .replace('{hasFilter}', isOld ? 'false' : 'r.prqual is not null')
    .replace('{hasColumns}', isOld ? 'false' : 'r.prattrs is not null')
    .replace('{publishesGenerated}', serverVersion >= 180000 ? "p.pubgencols = 's'" : 'true')
  const { rows } = await db.query(text, [publicationName])
  return rows[0] ? JSON.parse(rows[0].facts) : null
}
