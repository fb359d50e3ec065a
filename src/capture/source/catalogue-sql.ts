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

export const tablesStatement = `
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

export const typesStatement = `
select t.oid::int8 as oid, n.nspname || '.' || t.typname as name, typbasetype::int8 as base_oid, typdelim as delimiter,
       -- Of int2vector and oidvector the text has no braces.
       case when typsubscript = 'array_subscript_handler'::regproc and typoutput = 'array_out'::regproc then typelem::int8
            else 0 end as element_oid,
       (select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid) as labels
from pg_type t join pg_namespace n on n.oid = t.typnamespace`

export const otherTablesStatement = `
select n.nspname as schema, c.relname as name
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'walhook')
order by 1, 2 limit 10000`
