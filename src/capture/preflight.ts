import { type Lsn, parseLsn } from '../domain/lsn.ts'
import type { EntityMapping } from '../domain/mapping.ts'
import type { Problem } from '../domain/problem.ts'
import { type Catalogue, generatedInIdentity, hasIdentity, readCatalogue } from './catalogue.ts'
import { judgeMapping, judgeServer, type SourceFacts } from './preflight-verdict.ts'
import { judgePublication } from './publication-verdict.ts'
import type { Source } from './source.ts'
import { mayLogSnapshot } from './wal-release.ts'

const factsStatement = `
select json_build_object(
  'role', current_user,
  'database', current_database(),
  'serverVersion', current_setting('server_version_num')::int,
  'systemIdentifier', (select system_identifier::text from pg_control_system()),
  'isStandby', pg_is_in_recovery(),
  'walLevel', current_setting('wal_level'),
  'walEnd', case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end,
  'maxSlots', current_setting('max_replication_slots')::int,
  'usedSlots', (select count(*) from pg_replication_slots),
  'maxSenders', current_setting('max_wal_senders')::int,
  'usedSenders', (select count(*) from pg_stat_replication),
  'walSenderTimeoutMs', (select setting::int from pg_settings where name = 'wal_sender_timeout'),
  'maxSlotWalKeepMb', (select setting::int from pg_settings where name = 'max_slot_wal_keep_size'),
  'serverNowMs', (extract(epoch from clock_timestamp()) * 1000)::float8,
  'mayReplicate', (select rolreplication or rolsuper from pg_roles where rolname = current_user),
  'mayCreate', has_database_privilege(current_database(), 'create'),
  'mayLogSnapshot', ${mayLogSnapshot},
  'slot', (
    select json_build_object('plugin', plugin, 'database', database, 'walStatus', wal_status,
                             'confirmedLsn', confirmed_flush_lsn, 'isActive', active, 'isTemporary', temporary,
                             'twoPhase', two_phase, 'failover', coalesce((to_jsonb(s) ->> 'failover')::boolean, false),
                             'heldBackBytes', case when pg_is_in_recovery() then 0
                                                   else coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0) end)
    from pg_replication_slots s where slot_name = $1),
  'publication', (
    select json_build_object(
      'isForAllTables', p.puballtables,
      'publishesAll', p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate,
      'isOwned', pg_has_role(p.pubowner, 'usage'),
      'viaRoot', p.pubviaroot,
      'publishesGenerated', {publishesGenerated},
      'tables', coalesce((
        select json_agg(json_build_object(
          'schema', t.schemaname, 'name', t.tablename, 'hasFilter', {hasFilter}, 'hasColumnList', {hasColumnList},
          'withoutIdentity', {withoutIdentity}, 'generatedInIdentity', {generatedInIdentity}))
        from pg_publication_tables t where t.pubname = p.pubname), '[]'))
    from pg_publication p where p.pubname = $2)
) as facts`

/** Something of the tables under a published one, or of itself, that meet a condition. */
const ofTablesUnder = (what: string, condition: string) => `(
  select ${what}
  from pg_namespace rn join pg_class root on root.relnamespace = rn.oid
  left join lateral pg_partition_tree(root.oid) tree on true
  join pg_class l on l.oid = coalesce(tree.relid, root.oid)
  join pg_namespace ln on ln.oid = l.relnamespace
  where rn.nspname = t.schemaname and root.relname = t.tablename and l.relkind = 'r' and ${condition})`

/** Those whose UPDATE and DELETE fail because they are published. */
const withoutIdentity = `coalesce(
  ${ofTablesUnder("json_agg(format('%I.%I', ln.nspname, l.relname) order by l.oid)", `not ${hasIdentity('l')}`)}, '[]')`

/** The worst of them: the names are in the order of the alphabet. */
const generated = ofTablesUnder(`coalesce(max(${generatedInIdentity('l')}), 'nothing')`, 'true')

/** Row filters and column lists came with PostgreSQL 15. */
const filtersFrom15 = {
  hasFilter: 't.rowfilter is not null',
  hasColumnList: `exists (
    select from pg_publication_rel r
    where r.prpubid = p.oid and r.prattrs is not null
      and r.prrelid = format('%I.%I', t.schemaname, t.tablename)::regclass)`,
}

export async function readFacts(
  source: Source,
  names: { slotName: string; publicationName: string },
): Promise<SourceFacts> {
  const { rows: versions } = await source.pool.query(
    `select current_setting('server_version_num')::int as number`,
  )
  const version = Number(versions[0].number)
  const filters = version >= 150000 ? filtersFrom15 : { hasFilter: 'false', hasColumnList: 'false' }
  const statement = factsStatement
    .replace('{hasFilter}', filters.hasFilter)
    .replace('{hasColumnList}', filters.hasColumnList)
    .replace('{publishesGenerated}', version >= 180000 ? "p.pubgencols = 's'" : 'true')
    .replace('{withoutIdentity}', withoutIdentity)
    .replace('{generatedInIdentity}', generated)
  const { rows } = await source.pool.query(statement, [names.slotName, names.publicationName])
  return JSON.parse(rows[0].facts)
}

/** Everything that stands between this source and capturing it. Nothing is created or changed. */
export async function preflight(
  source: Source,
  options: { slotName: string; publicationName: string; mapping: readonly EntityMapping[] },
): Promise<{ problems: Problem[]; facts: SourceFacts; catalogue: Catalogue }> {
  const facts = await readFacts(source, options)
  const catalogue = await readCatalogue(source, options.mapping)
  const problems = [...judgeServer(facts, options), ...judgeMapping(catalogue, options.mapping, facts)]
  const publication = judgePublication(facts, catalogue, options)
  return { problems: [...problems, ...publication], facts, catalogue }
}

/** What of the tables or the publication does not fit the mapping any more, while capture runs. */
export async function judgeTables(
  source: Source,
  options: { slotName: string; publicationName: string; mapping: readonly EntityMapping[] },
): Promise<Problem[]> {
  const { problems, facts } = await preflight(source, options)
  const isMissing = facts.publication === null
  const what = `publication ${options.publicationName}`
  const gone = { what, found: 'dropped while walhook was reading', mend: 'run: walhook resync' }
  return [
    ...problems.filter(({ what }) => /^(table|entity|publication) /.test(what)),
    ...(isMissing ? [gone] : []),
  ]
}

/** Where the source's WAL ends, how far the slot is confirmed, and how much is kept for it (null: no slot). */
export async function readSlotStatus(
  source: Source,
  slotName: string,
): Promise<{ walEnd: Lsn; confirmedLsn: Lsn | null; heldBackBytes: number | null }> {
  const { rows } = await source.pool.query(
    `select w.lsn as wal_end, s.confirmed_flush_lsn as confirmed, pg_wal_lsn_diff(w.lsn, s.restart_lsn) as held
     from (select pg_current_wal_lsn() as lsn) w left join pg_replication_slots s on s.slot_name = $1`,
    [slotName],
  )
  const { wal_end, confirmed, held } = rows[0]
  return {
    walEnd: parseLsn(wal_end),
    confirmedLsn: confirmed === null ? null : parseLsn(confirmed),
    heldBackBytes: held === null ? null : Number(held),
  }
}

/** Whether a process reads the slot at this moment. */
export async function isSlotActive(source: Source, slotName: string): Promise<boolean> {
  const { rowCount } = await source.pool.query(
    'select from pg_replication_slots where slot_name = $1 and active',
    [slotName],
  )
  return rowCount === 1
}
