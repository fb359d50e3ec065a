import { quoteIdentifier, type TableName } from '../../domain/mapping/mapping.ts'
import type { Problem } from '../../domain/value/problem.ts'
import type { ProblemCode } from '../../domain/value/problem-codes.ts'
import type { Generated } from './catalogue.ts'

/** The state of source, slot and publication. */
export type SourceFacts = {
  readonly role: string
  readonly database: string
  readonly serverVersion: number
  readonly serverEncoding: string
  readonly systemIdentifier: string
  readonly isStandby: boolean
  readonly walLevel: string
  readonly maxSlots: number
  readonly usedSlots: number
  readonly maxSenders: number
  readonly usedSenders: number
  readonly walSenderTimeoutMs: number
  /** -1: unlimited. */
  readonly maxSlotWalKeepMb: number
  /** 0: never; null before PostgreSQL 18. */
  readonly idleSlotTimeoutS: number | null
  readonly serverNowMs: number
  readonly mayReplicate: boolean
  /** Whether membership in a group permits replication, as on Amazon RDS and Aurora. */
  readonly hasReplicationGroup: boolean
  readonly mayCreate: boolean
  /** Whether the role may make Postgres release WAL sooner; null before PostgreSQL 16, which can't. */
  readonly mayLogSnapshot: boolean | null
  /** Whether it may read the cluster's identity by SQL. */
  readonly mayReadControl: boolean
  readonly slot: SlotFacts | null
  readonly publication: PublicationFacts | null
}

export type SlotFacts = {
  readonly plugin: string | null
  readonly database: string | null
  readonly walStatus: string | null
  readonly confirmedLsn: string | null
  readonly isActive: boolean
  readonly isTemporary: boolean
  readonly twoPhase: boolean
  /** Whether standbys synchronize it, so that it survives a failover; from PostgreSQL 17 on. */
  readonly failover: boolean
  readonly heldBackBytes: number
}

export type PublicationFacts = {
  readonly isForAllTables: boolean
  readonly publishesAll: boolean
  readonly isOwned: boolean
  /** Whether changes of a partition are published as its table's. */
  readonly viaRoot: boolean
  /** Whether stored generated columns are published; true before PostgreSQL 18, which does not require it. */
  readonly publishesGenerated: boolean
  /** The schemas whose present and future tables it publishes. */
  readonly schemas: readonly string[]
  readonly tables: readonly PublishedTable[]
}

type PublishedTable = TableName & {
  readonly hasFilter: boolean
  readonly hasColumnList: boolean
  /** Published tables whose UPDATE and DELETE fail because of that. */
  readonly withoutIdentity: readonly string[]
  /** The generated columns in their replica identities. */
  readonly generatedInIdentity: Generated
}

/** The server: version, settings, the role's rights, and whether a slot exists or can be created. */
export function checkServer(facts: SourceFacts, names: { slotName: string }): Problem[] {
  const problems: Problem[] = []
  const add = (code: ProblemCode, what: string, found: string, mend: string) =>
    problems.push({ code, what, found, mend })
  const { slot } = facts
  const role = quoteIdentifier(facts.role)
  if (facts.serverVersion < 140000)
    add('version', 'PostgreSQL version', String(facts.serverVersion), 'walhook needs PostgreSQL 14 or newer')
  if (facts.isStandby)
    add(
      'standby',
      'source database',
      'a standby (in recovery)',
      'set DATABASE_URL to the primary server: a standby lags behind its primary, and cannot have a publication of its own',
    )
  if (facts.walLevel !== 'logical')
    add(
      'wal_level',
      'wal_level',
      facts.walLevel,
      `run: alter system set wal_level = 'logical';  then restart PostgreSQL`,
    )
  if (!facts.mayReplicate)
    add(
      'replication_role',
      `role ${facts.role}`,
      'may not replicate',
      facts.hasReplicationGroup
        ? `run as the master user: grant rds_replication to ${role};`
        : `run as a superuser: alter role ${role} replication;`,
    )
  if (!slot && facts.usedSlots >= facts.maxSlots)
    add(
      'slots_in_use',
      'max_replication_slots',
      `${facts.maxSlots}, all in use`,
      `drop a slot that nobody reads (select * from pg_replication_slots), or run: alter system set max_replication_slots = ${facts.maxSlots + 5};  then restart PostgreSQL`,
    )
  // If our slot is being read, one of the senders is ours.
  if (facts.usedSenders >= facts.maxSenders && !slot?.isActive)
    add(
      'senders_in_use',
      'max_wal_senders',
      `${facts.maxSenders}, all in use`,
      `run: alter system set max_wal_senders = ${facts.maxSenders + 5};  then restart PostgreSQL`,
    )
  if (slot && (slot.plugin !== 'pgoutput' || slot.database !== facts.database))
    add(
      'slot_of_others',
      `replication slot ${names.slotName}`,
      slot.plugin === null ? 'a physical slot' : `of plugin ${slot.plugin} in database ${slot.database}`,
      'it belongs to another program: set WALHOOK_SLOT to another name',
    )
  else if (slot?.isTemporary)
    add(
      'slot_temporary',
      `replication slot ${names.slotName}`,
      'temporary: it ends with its session, and its changes are lost then',
      'end that session, or set WALHOOK_SLOT to another name',
    )
  return problems
}

/** Problems of mapped tables and publication, also during capture. */
const tableProblems = [
  ...(['table_missing', 'table_moved', 'table_kind', 'table_unreadable', 'row_security'] as const),
  ...(['no_identity', 'virtual_in_identity', 'unlogged', 'future_partitions'] as const),
  ...([
    'column_missing',
    'condition',
    'field_twice',
    'format',
    'label',
    'not_in_identity',
    'relation',
  ] as const),
  ...([
    'publication_missing',
    'publication_all_tables',
    'publication_kinds',
    'publication_via_root',
  ] as const),
  ...(['publication_table_missing', 'publication_schema', 'publication_harms'] as const),
  ...(['publication_generated', 'publication_filter', 'publication_gone'] as const),
] satisfies ProblemCode[]

/** A problem of mapped tables or publication: their checks return no other. */
export type TableProblem = Problem & { readonly code: (typeof tableProblems)[number] }

const ofTables: ReadonlySet<ProblemCode> = new Set(tableProblems)

export const isOfTables = ({ code }: Problem): boolean => ofTables.has(code)

export const wouldFail = "published like this, the application's own UPDATE and DELETE would fail"

/** From PostgreSQL 18 on, UPDATE and DELETE fail if generated columns of the identity are unpublished. */
export function refusesUnpublished({ serverVersion }: Pick<SourceFacts, 'serverVersion'>): boolean {
  return serverVersion >= 180000
}
