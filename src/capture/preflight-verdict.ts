import { formats } from '../domain/format.ts'
import {
  type EntityMapping,
  type FieldRules,
  publishedTables,
  quoteIdentifier,
  ruleOf,
  type TableName,
  tableKey,
} from '../domain/mapping.ts'
import { nearest } from '../domain/nearest.ts'
import type { Problem } from '../domain/problem.ts'
import { type Catalogue, chosenFields, type Generated, type Table } from './catalogue.ts'

/** What the source database says of itself, of our slot and of our publication. */
export type SourceFacts = {
  readonly role: string
  readonly database: string
  readonly serverVersion: number
  readonly systemIdentifier: string
  readonly isStandby: boolean
  readonly walLevel: string
  readonly walEnd: string
  readonly maxSlots: number
  readonly usedSlots: number
  readonly maxSenders: number
  readonly usedSenders: number
  readonly walSenderTimeoutMs: number
  /** -1: unlimited. */
  readonly maxSlotWalKeepMb: number
  readonly serverNowMs: number
  readonly mayReplicate: boolean
  readonly mayCreate: boolean
  /** Whether the role may have Postgres give up WAL sooner; null before PostgreSQL 16, which can't. */
  readonly mayLogSnapshot: boolean | null
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
  /** Whether standbys keep it, so that it survives a failover; only from PostgreSQL 17 on. */
  readonly failover: boolean
  readonly heldBackBytes: number
}

export type PublicationFacts = {
  readonly isForAllTables: boolean
  readonly publishesAll: boolean
  readonly isOwned: boolean
  /** Whether the changes of a partition are told as those of the table that it is a part of. */
  readonly viaRoot: boolean
  /** Whether stored generated columns are told; true where PostgreSQL does not ask for it (before 18). */
  readonly publishesGenerated: boolean
  readonly tables: readonly PublishedTable[]
}

export type PublishedTable = TableName & {
  readonly hasFilter: boolean
  readonly hasColumnList: boolean
  /** The tables under it, or itself, of which UPDATE and DELETE fail because it is published. */
  readonly withoutIdentity: readonly string[]
  /** Of these tables, what is generated in a replica identity. */
  readonly generatedInIdentity: Generated
}

/** The server: version, settings, what the role may do, and whether a slot is there or can be made. */
export function judgeServer(facts: SourceFacts, names: { slotName: string }): Problem[] {
  const problems: Problem[] = []
  const add = (what: string, found: string, mend: string) => problems.push({ what, found, mend })
  const { slot } = facts
  if (facts.serverVersion < 140000)
    add('PostgreSQL version', String(facts.serverVersion), 'walhook needs PostgreSQL 14 or newer')
  if (facts.isStandby)
    add('source database', 'a standby (in recovery)', 'set DATABASE_URL to the primary server')
  if (facts.walLevel !== 'logical')
    add('wal_level', facts.walLevel, `run: alter system set wal_level = 'logical';  then restart PostgreSQL`)
  if (!facts.mayReplicate)
    add(
      `role ${facts.role}`,
      'may not replicate',
      `run as a superuser: alter role ${quoteIdentifier(facts.role)} replication;`,
    )
  if (!slot && facts.usedSlots >= facts.maxSlots)
    add(
      'max_replication_slots',
      `${facts.maxSlots}, all in use`,
      `drop a slot that nobody reads (select * from pg_replication_slots), or run: alter system set max_replication_slots = ${facts.maxSlots + 5};  then restart PostgreSQL`,
    )
  // Where our slot is read already, one of them is ours.
  if (facts.usedSenders >= facts.maxSenders && !slot?.isActive)
    add(
      'max_wal_senders',
      `${facts.maxSenders}, all in use`,
      `run: alter system set max_wal_senders = ${facts.maxSenders + 5};  then restart PostgreSQL`,
    )
  if (slot && (slot.plugin !== 'pgoutput' || slot.database !== facts.database))
    add(
      `replication slot ${names.slotName}`,
      slot.plugin === null ? 'a physical slot' : `of plugin ${slot.plugin} in database ${slot.database}`,
      'it belongs to something else: set WALHOOK_SLOT to another name',
    )
  return problems
}

export const harm = "published like this, the application's own UPDATE and DELETE would fail"

/** From PostgreSQL 18 on, UPDATE and DELETE fail where generated columns of the identity are not published. */
export function refusesUnpublished({ serverVersion }: Pick<SourceFacts, 'serverVersion'>): boolean {
  return serverVersion >= 180000
}

function mendOf(column: string, names: readonly string[]): string {
  const meant = nearest(column, names)
  return meant === null ? 'mend the mapping' : `mend the mapping: was ${meant} meant?`
}

/** The mapped tables: there, readable, with names that exist and an identity that lets no statement fail. */
export function judgeMapping(
  catalogue: Catalogue,
  mapping: readonly EntityMapping[],
  facts: Pick<SourceFacts, 'role' | 'serverVersion'>,
): Problem[] {
  const problems: Problem[] = []
  const add = (what: string, found: string, mend: string) => problems.push({ what, found, mend })

  function requireColumns(what: string, table: Table, columns: ReadonlySet<string>) {
    const names = table.columns.map(column => column.name)
    for (const column of [...columns].filter(name => !names.includes(name)))
      add(
        `${what}: column ${column}`,
        `${tableKey(table.name)} has ${names.join(', ')}`,
        mendOf(column, names),
      )
  }

  for (const name of publishedTables(mapping)) {
    const key = tableKey(name)
    const table = catalogue.tables.get(key)
    if (!table) {
      const meant = nearestTable(name, catalogue.otherTables)
      add(
        `table ${key}`,
        'missing',
        meant === null
          ? 'create it, or name the right table in the mapping (WALHOOK_CONFIG)'
          : `create it, or mend the mapping (WALHOOK_CONFIG): was ${tableKey(meant)} meant?`,
      )
      continue
    }
    if (table.kind !== 'r' && table.kind !== 'p') {
      add(`table ${key}`, 'a view or foreign table', 'map the table underneath: only tables are in the WAL')
      continue
    }
    if (!table.isReadable)
      add(
        `table ${key}`,
        `role ${facts.role} may not read it`,
        `run: grant usage on schema ${quoteIdentifier(name.schema)} to ${quoteIdentifier(facts.role)}; grant select on ${key} to ${quoteIdentifier(facts.role)};`,
      )
    if (table.identityColumns.length === 0)
      add(
        `table ${key}`,
        table.identity === 'n'
          ? 'its replica identity is NOTHING'
          : table.primaryKey.length > 0
            ? 'its primary key is deferrable, which is no replica identity'
            : 'no primary key',
        `${harm}. Run: alter table ${key} ${table.identity === 'n' && table.primaryKey.length > 0 ? 'replica identity default' : `add primary key (…);  or: alter table ${key} replica identity full`};`,
      )
    for (const leaf of table.leaves.filter(({ hasIdentity }) => !hasIdentity))
      add(
        `table ${key}, partition ${tableKey(leaf.name)}`,
        'has no replica identity of its own',
        `${harm}. Run: alter table ${tableKey(leaf.name)} replica identity full;`,
      )
    const parts = table.leaves.map(leaf => ({
      ...leaf,
      what: `table ${key}, partition ${tableKey(leaf.name)}`,
    }))
    for (const part of [{ ...table, what: `table ${key}` }, ...parts]) {
      if (!part.isLogged)
        add(
          part.what,
          'unlogged: what is written to it is not in the WAL',
          `run: alter table ${tableKey(part.name)} set logged;`,
        )
      if (part.generatedInIdentity === 'virtual' && refusesUnpublished(facts))
        add(
          part.what,
          'its replica identity is FULL, and it has virtual generated columns, which can not be published',
          `${harm}. Run: alter table ${tableKey(part.name)} replica identity default;`,
        )
    }
  }
  for (const entity of mapping) {
    const table = catalogue.tables.get(tableKey(entity.table))
    if (table) {
      const rules = entity.fields
      const ruled = [...Object.keys(rules.rename), ...Object.keys(rules.format ?? {})]
      const named = [entity.key, ...(rules.include ?? []), ...rules.omit, ...ruled]
      requireColumns(`entity ${entity.entityType}`, table, new Set(named))
      requireFormats(`entity ${entity.entityType}`, table, rules.format)
      requireIdentity(`entity ${entity.entityType}`, table, entity.key)
      requireOneOfEach(`entity ${entity.entityType}`, fieldsOf(entity, catalogue))
    }
    for (const related of entity.related) {
      const relatedTable = catalogue.tables.get(tableKey(related.table))
      if (!relatedTable) continue
      const what = `entity ${entity.entityType}, related ${related.field}`
      const key = related.key === undefined ? [] : [related.key]
      requireColumns(what, relatedTable, new Set([related.owner, ...key, ...related.columns]))
      requireFormats(what, relatedTable, related.format)
      const fields = related.columns.map(column => ({
        field: ruleOf(related.rename, column) ?? column,
        from: `column ${column}`,
      }))
      requireOneOfEach(what, fields)
      requireIdentity(what, relatedTable, related.owner)
    }
  }
  return problems

  /** JSON with a name twice means something else to each receiver. */
  function requireOneOfEach(what: string, all: readonly { field: string; from: string }[]) {
    for (const [field, same] of Map.groupBy(all, each => each.field))
      if (same.length > 1)
        add(
          `${what}: field ${field}`,
          `twice: ${same.map(({ from }) => from).join(' and ')}`,
          'rename or omit one of them in the mapping',
        )
  }

  function requireFormats(what: string, table: Table, rules: FieldRules['format'] = {}) {
    for (const { name, typeOid, typeName } of table.columns) {
      const format = ruleOf(rules, name)
      if (format === undefined || catalogue.hasFormat(typeOid, format)) continue
      const fitting = formats.filter(each => catalogue.hasFormat(typeOid, each))
      add(
        `${what}: column ${name}`,
        `the format ${format} does not fit its type ${typeName}`,
        `mend the mapping: ${fitting.length === 0 ? 'this type has no formats' : `its formats are ${fitting.join(', ')}`}`,
      )
    }
  }

  function requireIdentity(what: string, table: Table, column: string) {
    const isThere = table.columns.some(({ name }) => name === column)
    if (isThere && table.identityColumns.length > 0 && !table.identityColumns.includes(column))
      add(
        `${what}: column ${column}`,
        `not in the replica identity of ${tableKey(table.name)} (${table.identityColumns.join(', ')})`,
        `a DELETE would not say whose row it was. Run: alter table ${tableKey(table.name)} replica identity full;`,
      )
  }
}

function fieldsOf(entity: EntityMapping, catalogue: Catalogue): { field: string; from: string }[] {
  return [
    ...[...chosenFields(catalogue, entity).fields].map(([column, field]) => ({
      field,
      from: `column ${column}`,
    })),
    ...entity.related.map(({ field }) => ({ field, from: `related ${field}` })),
  ]
}

/** The table that was probably meant: of a similar name in the same schema, of the same name or a similar one elsewhere. */
function nearestTable(wanted: TableName, tables: readonly TableName[]): TableName | null {
  const near = (among: readonly TableName[]) => {
    const name = nearest(
      wanted.name,
      among.map(table => table.name),
    )
    return among.find(table => table.name === name) ?? null
  }
  return near(tables.filter(({ schema }) => schema === wanted.schema)) ?? near(tables)
}
