import type { KnownColumn } from '../../domain/capture/known-columns.ts'
import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import { type Lsn, parseLsn } from '../../domain/value/lsn.ts'
import type { Problem } from '../../domain/value/problem.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { ConnectionRefused } from '../../outbox/database/session-settings.ts'
import { knownColumns } from '../../outbox/source/source-columns.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import { checkMapping } from '../verdict/mapping-verdict.ts'
import { checkServer, isOfTables, type SourceFacts } from '../verdict/preflight-verdict.ts'
import { checkPublication } from '../verdict/publication-verdict.ts'
import { type Living, readLivingMapping } from './load-catalogue.ts'
import { readPublication } from './publication-facts.ts'
import { readCatalogue } from './read-catalogue.ts'
import type { Queryable, Source } from './source.ts'
import { withinLimits } from './source-locks.ts'
import { tryReplication } from './try-replication.ts'
import { mayLogSnapshot } from './wal-release.ts'

const factsStatement = `
select json_build_object(
  'role', current_user,
  'database', current_database(),
  'serverVersion', current_setting('server_version_num')::int,
  'serverEncoding', current_setting('server_encoding'),
  'systemIdentifier', {systemIdentifier},
  'isStandby', pg_is_in_recovery(),
  'walLevel', current_setting('wal_level'),
  'maxSlots', current_setting('max_replication_slots')::int,
  'usedSlots', (select count(*) from pg_replication_slots),
  'maxSenders', current_setting('max_wal_senders')::int,
  'usedSenders', (select count(*) from pg_stat_replication),
  'walSenderTimeoutMs', (select setting::int from pg_settings where name = 'wal_sender_timeout'),
  'maxSlotWalKeepMb', (select setting::int from pg_settings where name = 'max_slot_wal_keep_size'),
  'idleSlotTimeoutS', (select setting::int from pg_settings where name = 'idle_replication_slot_timeout'),
  'serverNowMs', (extract(epoch from clock_timestamp()) * 1000)::float8,
  -- Amazon RDS and Aurora give the right to replicate by membership.
  'mayReplicate', (
    select rolreplication or rolsuper or exists (
      select from pg_roles g where g.rolname = 'rds_replication' and pg_has_role(current_user, g.oid, 'member'))
    from pg_roles where rolname = current_user),
  'hasReplicationGroup', exists (select from pg_roles where rolname = 'rds_replication'),
  'mayCreate', has_database_privilege(current_database(), 'create'),
  'mayLogSnapshot', ${mayLogSnapshot},
  'mayReadControl', {mayReadControl},
  'slot', (
    select json_build_object('plugin', plugin, 'database', database, 'walStatus', wal_status,
                             'confirmedLsn', confirmed_flush_lsn, 'isActive', active, 'isTemporary', temporary,
                             'twoPhase', two_phase, 'failover', coalesce((to_jsonb(s) ->> 'failover')::boolean, false),
                             'heldBackBytes', case when pg_is_in_recovery() then 0
                                                   else coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0) end)
    from pg_replication_slots s where slot_name = $1)
) as facts`

const versionStatement = `
select current_setting('server_version_num')::int as number,
       has_function_privilege('pg_catalog.pg_control_system()', 'execute') as may_read_control`

type Names = { readonly slotName: string; readonly publicationName: string }

type PreflightOptions = Names & {
  readonly mapping: readonly EntityMapping[]
  /** Contains the columns captured before. Dropped ones are no problem. */
  readonly outbox?: Outbox
  /** The same, already read. */
  readonly known?: readonly KnownColumn[]
}

/**
 * The state of the source. A replication connection finds what SQL does not show: the right to replicate, or the cluster's
 * identity.
 */
async function readFactsOf(db: Queryable, url: string, names: Names): Promise<SourceFacts> {
  const { rows: versions } = await db.query(versionStatement)
  const mayReadControl = versions[0].may_read_control === 't'
  const statement = factsStatement
    .replace(
      '{systemIdentifier}',
      mayReadControl ? '(select system_identifier::text from pg_control_system())' : 'null',
    )
    .replace('{mayReadControl}', String(mayReadControl))
  const { rows } = await db.query(statement, [names.slotName])
  const publication = await readPublication(db, names.publicationName, Number(versions[0].number))
  const facts: SourceFacts = { ...JSON.parse(rows[0].facts), publication }
  if (mayReadControl && facts.mayReplicate) return facts
  const trial = await tryReplication(url)
  if (trial.ok) return { ...facts, mayReplicate: true, systemIdentifier: trial.systemIdentifier }
  if (mayReadControl || trial.problem.code === 'replication_role') return { ...facts, mayReplicate: false }
  throw new ConnectionRefused(trial.problem.code ?? 'replication_refused', trial.problem)
}

/** The state of source, slot and publication. */
export async function readFacts(source: Source, names: Names): Promise<SourceFacts> {
  return await withinLimits(source, db => readFactsOf(db, source.url, names))
}

/**
 * Everything that prevents capturing this source. Creates and changes nothing, and waits for no table's lock. Throws
 * `SourceLocked` if the catalogue itself is locked.
 */
export async function preflight(
  source: Source,
  options: PreflightOptions,
): Promise<{
  problems: Problem[]
  facts: SourceFacts
  catalogue: Catalogue
  /** The existing and missing objects of the mapping. */
  living: Living
}> {
  const { outbox, slotName } = options
  const known = options.known ?? (outbox ? await knownColumns(outbox, slotName) : [])
  return await withinLimits(source, async db => {
    const facts = await readFactsOf(db, source.url, options)
    const catalogue = { ...(await readCatalogue({ pool: db }, options.mapping)), known }
    const living = await readLivingMapping(db, catalogue, options.mapping)
    const { mapping } = living
    const problems = [
      ...checkServer(facts, options),
      ...checkMapping(catalogue, mapping, facts, living.moved),
    ]
    const publication = checkPublication(facts, catalogue, { ...options, mapping })
    return { problems: [...problems, ...publication], facts, catalogue, living }
  })
}

/**
 * The same with a trial of the replication connection. A refusal because all are in use is expected while our own slot is
 * read.
 */
export async function preflightAndTry(source: Source, options: Parameters<typeof preflight>[1]) {
  const found = await preflight(source, options)
  const trial = await tryReplication(source.url)
  if (trial.ok || (trial.problem.code === 'replication_full' && found.facts.slot?.isActive))
    return { ...found, trial }
  // The role is reported already.
  const isNamed = trial.problem.code === 'replication_role' && !found.facts.mayReplicate
  return { ...found, trial, problems: isNamed ? found.problems : [...found.problems, trial.problem] }
}

/** Problems of tables or publication during capture. */
export async function checkTablesAndPublication(
  source: Source,
  options: PreflightOptions,
): Promise<Problem[]> {
  const { problems, facts } = await preflight(source, options)
  const isMissing = facts.publication === null
  const what = `publication ${options.publicationName}`
  const gone: Problem = {
    code: 'publication_gone',
    what,
    found: 'dropped while walhook was reading',
    mend: 'run: walhook resync',
  }
  return [...problems.filter(isOfTables), ...(isMissing ? [gone] : [])]
}

/** The end of the source's WAL, the slot's confirmed position, and its retained WAL (null: no slot). */
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

/** Whether a process reads the slot now. */
export async function isSlotActive(source: Source, slotName: string): Promise<boolean> {
  const { rowCount } = await source.pool.query(
    'select from pg_replication_slots where slot_name = $1 and active',
    [slotName],
  )
  return rowCount === 1
}
