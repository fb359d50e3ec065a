import { muchHeldBackBytes } from '../domain/findings.ts'
import { type EntityMapping, publishedTables, quoteIdentifier, tableKey } from '../domain/mapping.ts'
import type { Problem } from '../domain/problem.ts'
import { type Catalogue, givesPrevious, type Table } from './catalogue.ts'
import { columnsLine } from './check-columns.ts'
import type { CheckLine } from './check-line.ts'
import {
  judgeMapping,
  judgeServer,
  type PublicationFacts,
  refusesUnpublished,
  type SourceFacts,
} from './preflight-verdict.ts'
import { judgePublication } from './publication-verdict.ts'

const clockToleranceMs = 5_000

/**
 * Everything that decides whether walhook can capture a source and does no harm to it, each with its verdict: first
 * what was looked at and is as it should be or deserves a look, in a fixed order, with the problems in their places.
 */
export function checkLines(
  facts: SourceFacts,
  catalogue: Catalogue,
  options: {
    slotName: string
    publicationName: string
    mapping: readonly EntityMapping[]
    nowMs: number
    known?: ReadonlyMap<string, ReadonlySet<string>>
  },
): CheckLine[] {
  const { mapping, slotName, publicationName } = options
  const problems: Problem[] = [
    ...judgeServer(facts, options),
    ...judgeMapping(catalogue, mapping, facts),
    ...judgePublication(facts, catalogue, options),
  ]
  const lines = [
    ok('PostgreSQL version', versionText(facts.serverVersion)),
    ok('source database', `${facts.database}, a primary server`),
    ok('wal_level', facts.walLevel),
    ok(`role ${facts.role}`, 'may replicate'),
    facts.slot === null
      ? ok('max_replication_slots', `${facts.maxSlots - facts.usedSlots} of ${facts.maxSlots} free`)
      : ok('max_replication_slots', `${facts.maxSlots}, one of them ours`),
    ok('max_wal_senders', `${facts.maxSenders - facts.usedSenders} of ${facts.maxSenders} free`),
    keepSizeLine(facts),
    releaseLine(facts),
    timeoutLine(facts),
    clockLine(facts, options.nowMs),
    ...publishedTables(mapping).flatMap(table =>
      tableLines(catalogue, tableKey(table), publicationName, facts),
    ),
    ...mapping.map(entity => uniqueLine(catalogue, entity)),
    ...mapping.map(entity => columnsLine(catalogue, entity, options.known?.get(entity.entityType) ?? null)),
    facts.publication === null
      ? ok(`publication ${publicationName}`, 'not there yet: it will be made')
      : ok(`publication ${publicationName}`, publicationText(facts.publication, mapping)),
    slotLine(facts, slotName, publicationName),
  ].filter(line => line !== null)
  return [...withProblems(lines, problems), harmLine(problems)]
}

/** The worst of them. */
export function worstLevel(lines: readonly CheckLine[]): CheckLine['level'] {
  if (lines.some(({ level }) => level === 'error')) return 'error'
  return lines.some(({ level }) => level === 'warning') ? 'warning' : 'ok'
}

const ok = (what: string, found: string): CheckLine => ({ level: 'ok', what, found, mend: null })
const warning = (what: string, found: string, mend: string): CheckLine => ({
  level: 'warning',
  what,
  found,
  mend,
})

/** A problem takes the place of the line that looked at the same thing; what has no line of its own comes after. */
function withProblems(lines: readonly CheckLine[], problems: readonly Problem[]): CheckLine[] {
  const errors = (of: readonly Problem[]) => of.map((problem): CheckLine => ({ level: 'error', ...problem }))
  const isAbout = (line: CheckLine) => (problem: Problem) =>
    problem.what === line.what || problem.what.startsWith(`${line.what},`)
  const placed = lines.flatMap(line => {
    const own = problems.filter(isAbout(line))
    return own.length > 0 ? errors(own) : [line]
  })
  return [...placed, ...errors(problems.filter(problem => !lines.some(line => isAbout(line)(problem))))]
}

function versionText(number: number): string {
  return `${Math.floor(number / 10_000)}.${number % 10_000}`
}

function keepSizeLine({ maxSlotWalKeepMb }: SourceFacts): CheckLine {
  const what = 'max_slot_wal_keep_size'
  if (maxSlotWalKeepMb >= 0)
    return ok(
      what,
      `${maxSlotWalKeepMb} MB: if walhook is stopped for longer than that lasts, changes are lost, and it says so`,
    )
  return warning(
    what,
    'unlimited: while walhook is stopped, the WAL that is kept for it may fill the disk',
    "set a bound that the disk can hold: alter system set max_slot_wal_keep_size = '20GB'; select pg_reload_conf();",
  )
}

/** Not a warning: without it, only more WAL is kept while much is written. */
function releaseLine({ mayLogSnapshot, role }: SourceFacts): CheckLine | null {
  if (mayLogSnapshot === null) return null
  const what = 'pg_log_standby_snapshot'
  if (mayLogSnapshot) return ok(what, 'may be executed: WAL is given up about every second')
  return ok(
    what,
    `may not be executed, so the WAL of up to half a minute is kept. To have it given up about every second, run as a superuser: grant execute on function pg_log_standby_snapshot() to ${quoteIdentifier(role)};`,
  )
}

function timeoutLine({ walSenderTimeoutMs }: SourceFacts): CheckLine {
  const what = 'wal_sender_timeout'
  if (walSenderTimeoutMs > 0) return ok(what, `${walSenderTimeoutMs / 1000} s`)
  return warning(
    what,
    'off: PostgreSQL never gives up on a dead link, which then keeps the slot',
    "run: alter system set wal_sender_timeout = '60s'; select pg_reload_conf();",
  )
}

function clockLine({ serverNowMs }: SourceFacts, nowMs: number): CheckLine {
  const differenceS = Math.round((nowMs - serverNowMs) / 100) / 10
  if (Math.abs(differenceS) * 1000 <= clockToleranceMs)
    return ok('clock', `differs by ${Math.abs(differenceS)} s`)
  return warning(
    'clock',
    `this machine is ${Math.abs(differenceS)} s ${differenceS > 0 ? 'ahead of' : 'behind'} the database`,
    'set both by NTP: receivers refuse signatures that are more than five minutes off',
  )
}

function tableLines(
  catalogue: Catalogue,
  key: string,
  publicationName: string,
  facts: SourceFacts,
): CheckLine[] {
  const table = catalogue.tables.get(key)
  if (!table) return []
  const lines = [ok(`table ${key}`, kindText(table)), previousLine(table, publicationName, facts)]
  if (table.hasHeirs)
    lines.push(
      warning(
        `table ${key}, inheritance`,
        'other tables inherit from it: their rows are not captured',
        'map each of them as an entity of its own, or make it a partitioned table',
      ),
    )
  return lines
}

function kindText(table: Table): string {
  const identity = table.identity === 'f' ? 'full' : table.identityColumns.join(', ')
  const readable = `readable, replica identity ${identity}`
  if (table.kind === 'p')
    return `${readable}, partitioned (${table.leaves.length} with rows): rows that go with a partition, by TRUNCATE, DETACH or DROP of it, are not told`
  return table.isPartition ? `${readable}, a partition` : readable
}

/** Whether updates of a table tell the values before, and what it takes. */
function previousLine(table: Table, publicationName: string, facts: SourceFacts): CheckLine {
  const key = tableKey(table.name)
  const what = `table ${key}, previous values`
  if (givesPrevious(table)) return ok(what, 'told: an UPDATE gives the whole row before')
  const untold = 'not told, so webhooks get no "previous", and all updates whatever fields they ask for.'
  if (table.generated === 'virtual' && refusesUnpublished(facts))
    return ok(
      what,
      `${untold} They can't be had: with virtual generated columns, replica identity FULL would make the application's own UPDATE fail`,
    )
  const lacking = [
    ...(table.identity === 'f' ? [] : [table.name]),
    ...table.leaves.filter(({ identity }) => identity !== 'f').map(({ name }) => name),
  ]
  const isLeftOut = table.generated === 'stored' && facts.publication?.publishesGenerated === false
  const sql = [
    ...(isLeftOut ? [`alter publication ${publicationName} set (publish_generated_columns = stored);`] : []),
    ...lacking.map(name => `alter table ${tableKey(name)} replica identity full;`),
  ].join(' ')
  const size = table.rowBytes === null ? 'as much as a row holds' : `about ${table.rowBytes} bytes`
  return ok(
    what,
    `${untold} To have them: ${sql} Each UPDATE and DELETE then writes the row before into the WAL, ${size} more`,
  )
}

/** Rows with one key are one entity. A partitioned table can be unique only together with what it is partitioned by. */
function uniqueLine(catalogue: Catalogue, entity: EntityMapping): CheckLine | null {
  const table = catalogue.tables.get(tableKey(entity.table))
  if (!table?.columns.some(({ name }) => name === entity.key)) return null
  const what = `entity ${entity.entityType}, key ${entity.key}`
  if (table.uniqueColumns.includes(entity.key)) return ok(what, 'unique')
  if (table.kind === 'p' && table.primaryKey.includes(entity.key)) return ok(what, 'part of the primary key')
  return warning(
    what,
    'nothing in the database keeps it unique, and rows with one key are told as one entity',
    `run: create unique index concurrently on ${tableKey(table.name)} (${quoteIdentifier(entity.key)});`,
  )
}

function publicationText(publication: PublicationFacts, mapping: readonly EntityMapping[]): string {
  const wanted = new Set(publishedTables(mapping).map(tableKey))
  const others = publication.tables.map(tableKey).filter(table => !wanted.has(table))
  const text = 'has every mapped table, and neither row filters nor column lists'
  return others.length === 0 ? text : `${text}; and, for nothing, ${others.join(', ')}`
}

function slotLine(facts: SourceFacts, slotName: string, publicationName: string): CheckLine {
  const what = `replication slot ${slotName}`
  const { slot } = facts
  if (!slot) return ok(what, 'not there yet: it will be made')
  if (slot.walStatus === 'lost' || facts.publication === null) {
    const found =
      slot.walStatus === 'lost'
        ? 'lost: PostgreSQL has removed WAL that was not read yet (max_slot_wal_keep_size)'
        : `useless without the publication ${publicationName}, which is gone`
    return { level: 'error', what, found, mend: 'changes are lost; to begin anew, run: walhook resync' }
  }
  const held = `${(slot.heldBackBytes / 1024 ** 2).toFixed(0)} MB of WAL are kept for it`
  if (slot.walStatus === 'unreserved')
    return warning(
      what,
      `about to be invalidated: ${held}`,
      'let walhook read it now, or raise max_slot_wal_keep_size',
    )
  if (slot.heldBackBytes > muchHeldBackBytes)
    return warning(what, held, 'see that walhook runs and reads it: /readyz and the log say why it does not')
  return ok(what, held)
}

/** Whether any statement of the application can fail because a table is published. */
function harmLine(problems: readonly Problem[]): CheckLine {
  const what = "the application's statements"
  const harmful = problems.filter(({ mend }) => mend.includes("the application's own UPDATE"))
  if (harmful.length === 0) return ok(what, 'none can fail because of walhook')
  const tables = harmful.map(problem => problem.what).join('; ')
  return { level: 'error', what, found: `UPDATE or DELETE would fail: ${tables}`, mend: 'mend these first' }
}
