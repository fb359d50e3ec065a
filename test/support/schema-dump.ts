import type { Client } from 'pg'

/** Kysely's own tables, and the dated partitions, which come and go. */
const isOurs = `
  c.relnamespace = 'walhook'::regnamespace and not c.relispartition and c.relname not in ('migrations', 'migrations_lock')`

const sequencesStatement = `
select format('create sequence walhook.%I minvalue %s maxvalue %s cache %s%s;', c.relname, s.seqmin, s.seqmax, s.seqcache,
              case when s.seqcycle then ' cycle' else '' end) as text
from pg_sequence s join pg_class c on c.oid = s.seqrelid
where c.relnamespace = 'walhook'::regnamespace
  and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'i')
order by c.relname collate "C"`

const functionsStatement = `
select pg_get_functiondef(p.oid) || ';' as text
from pg_proc p where p.pronamespace = 'walhook'::regnamespace order by p.proname collate "C"`

// Constraints by what they say, not by their names; NOT NULL stands with its column (PostgreSQL 18 lists it as a
// constraint too).
const tablesStatement = `
select format(E'create table walhook.%I (\n%s\n)%s%s;', c.relname,
  (select string_agg('  ' || line, E',\n' order by rank, line collate "C") from (
     select a.attnum::int as rank, format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
       || coalesce((select ' collate ' || quote_ident(o.collname) from pg_collation o
                    where o.oid = a.attcollation and o.oid <> 'pg_catalog.default'::regcollation), '')
       || case when a.attidentity = 'a' then ' generated always as identity' else '' end
       || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
       || case when a.attnotnull then ' not null' else '' end as line
     from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     union all
     select 10000 + position(k.contype in 'pufc'), pg_get_constraintdef(k.oid)
     from pg_constraint k where k.conrelid = c.oid and k.contype in ('p', 'u', 'f', 'c')
   ) lines),
  coalesce(' partition by ' || lower(pg_get_partkeydef(c.oid)), ''),
  coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', '')
) as text
from pg_class c where ${isOurs} and c.relkind in ('r', 'p') order by c.relname collate "C"`

const indexesStatement = `
select pg_get_indexdef(i.indexrelid) || ';' as text
from pg_index i join pg_class c on c.oid = i.indrelid
where ${isOurs} and not exists (select from pg_constraint k where k.conindid = i.indexrelid)
order by 1`

const triggersStatement = `
select pg_get_triggerdef(t.oid) || ';' as text
from pg_trigger t join pg_class c on c.oid = t.tgrelid
where ${isOurs} and not t.tgisinternal order by t.tgname collate "C"`

/** Writes down the schema `walhook` as it stands, the same text on every version of Postgres. */
export async function dumpSchema(client: Client): Promise<string> {
  const parts = ['-- The schema that the migrations make, for reading. Written by: npm run schema']
  const statements = [
    sequencesStatement,
    functionsStatement,
    tablesStatement,
    indexesStatement,
    triggersStatement,
  ]
  for (const statement of statements) {
    const { rows } = await client.query(statement)
    parts.push(...rows.map(row => row.text.trimEnd()))
  }
  return `${parts.join('\n\n')}\n`
}
