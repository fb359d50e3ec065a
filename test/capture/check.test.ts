import { expect, test } from 'vitest'
import { checkLines } from '../../src/capture/check/check.ts'
import type { Catalogue, Table } from '../../src/capture/verdict/catalogue.ts'
import type { SourceFacts } from '../../src/capture/verdict/preflight-verdict.ts'
import { worstLevel } from '../../src/domain/capture/check-line.ts'
import { columnKind } from '../../src/domain/mapping/credentials.ts'
import { defaultMapping } from '../../src/domain/mapping/mapping.ts'

const nowMs = Date.UTC(2026, 0, 1)
const sound: SourceFacts = {
  role: 'walhook',
  database: 'app',
  serverVersion: 180004,
  systemIdentifier: '1',
  isStandby: false,
  walLevel: 'logical',
  maxSlots: 10,
  usedSlots: 1,
  maxSenders: 10,
  usedSenders: 1,
  walSenderTimeoutMs: 60_000,
  maxSlotWalKeepMb: 4_096,
  serverNowMs: nowMs,
  mayReplicate: true,
  mayCreate: true,
  mayLogSnapshot: true,
  mayReadControl: true,
  hasReplicationGroup: false,
  serverEncoding: 'UTF8',
  idleSlotTimeoutS: 0,
  slot: null,
  publication: null,
}
const slot = {
  plugin: 'pgoutput',
  database: 'app',
  walStatus: 'reserved',
  confirmedLsn: '0/1',
  isActive: false,
  isTemporary: false,
  twoPhase: false,
  failover: false,
  heldBackBytes: 1024,
}
const publication = {
  isForAllTables: false,
  publishesAll: true,
  isOwned: true,
  viaRoot: true,
  publishesGenerated: true,
  schemas: [],
  tables: ['users', 'companies'].map(name => ({
    schema: 'public',
    name,
    hasFilter: false,
    hasColumnList: false,
    withoutIdentity: [],
    generatedInIdentity: 'nothing' as const,
  })),
}

const table = (name: string, change: Partial<Table> = {}): Table => ({
  name: { schema: 'public', name },
  oid: 1,
  kind: 'r',
  isPartition: false,
  identity: 'd',
  columns: [{ name: 'id', typeOid: 23, typeName: 'integer', isGenerated: false }],
  attributes: [],
  primaryKey: ['id'],
  identityColumns: ['id'],
  generated: 'nothing',
  generatedInIdentity: 'nothing',
  isLogged: true,
  uniqueColumns: ['id'],
  indexedColumns: ['id'],
  leaves: [],
  hasHeirs: false,
  rowBytes: 240,
  partitionedBy: [],
  partitionsGetKey: true,
  references: [],
  owner: 'app',
  hidesRows: false,
  isForced: false,
  isReadable: true,
  isOwned: true,
  ...change,
})

function check(facts: Partial<SourceFacts> = {}, users: Partial<Table> | null = {}) {
  const tables = new Map([['"public"."companies"', table('companies')]])
  if (users) tables.set('"public"."users"', table('users', users))
  const kindOf = (oid: number) => columnKind(oid, () => undefined)
  const catalogue = { tables, otherTables: [], kindOf } as unknown as Catalogue
  const options = { slotName: 'walhook', publicationName: 'walhook', mapping: defaultMapping, nowMs }
  return checkLines({ ...sound, ...facts }, catalogue, options)
}

test('every line of a sound source is ok, before and after the first start', () => {
  expect(worstLevel(check())).toBe('ok')
  expect(worstLevel(check({ slot, publication }))).toBe('ok')
  expect(check().map(({ what }) => what)).toEqual([
    'PostgreSQL version',
    'source database',
    'server_encoding',
    'wal_level',
    'role walhook',
    'pg_control_system',
    'max_replication_slots',
    'max_wal_senders',
    'max_slot_wal_keep_size',
    'idle_replication_slot_timeout',
    'pg_log_standby_snapshot',
    'wal_sender_timeout',
    'clock',
    'table "public"."users"',
    'table "public"."users", previous values',
    'table "public"."companies"',
    'table "public"."companies", previous values',
    'entity user, key id',
    'entity company, key id',
    'entity user, columns',
    'entity company, columns',
    'publication walhook',
    'replication slot walhook',
    'locks of mapped tables',
    "the application's statements",
  ])
})

test.each<[string, Partial<SourceFacts>]>([
  ['max_slot_wal_keep_size', { maxSlotWalKeepMb: -1 }],
  ['wal_sender_timeout', { walSenderTimeoutMs: 0 }],
  ['clock', { serverNowMs: nowMs - 6_000 }],
  ['replication slot walhook', { publication, slot: { ...slot, heldBackBytes: 2 ** 31 } }],
  ['replication slot walhook', { publication, slot: { ...slot, walStatus: 'unreserved' } }],
])('%s is a warning with %j and a fix', (what, facts) => {
  const lines = check(facts)
  expect(worstLevel(lines)).toBe('warning')
  expect(lines.find(line => line.what === what)).toMatchObject({ level: 'warning', mend: expect.any(String) })
})

test('a hint, not a warning, shows how to release WAL sooner', () => {
  const line = (mayLogSnapshot: boolean | null) =>
    check({ mayLogSnapshot }).find(({ what }) => what === 'pg_log_standby_snapshot')
  expect(line(false)).toMatchObject({
    level: 'ok',
    found: expect.stringContaining('grant execute on function pg_log_standby_snapshot() to "walhook";'),
  })
  expect(line(true)?.found).not.toContain('grant')
  expect(line(null)).toBeUndefined()
})

test.each<[string, Partial<SourceFacts>, Partial<Table> | null]>([
  ['PostgreSQL version', { serverVersion: 130000 }, {}],
  ['source database', { isStandby: true }, {}],
  ['wal_level', { walLevel: 'replica' }, {}],
  ['role walhook', { mayReplicate: false }, {}],
  ['max_replication_slots', { usedSlots: 10 }, {}],
  ['max_wal_senders', { usedSenders: 10 }, {}],
  ['replication slot walhook', { publication, slot: { ...slot, walStatus: 'lost' } }, {}],
  ['replication slot walhook', { slot }, {}],
  ['replication slot walhook', { publication, slot: { ...slot, plugin: 'wal2json' } }, {}],
  ['publication walhook', { publication: { ...publication, isForAllTables: true } }, {}],
  ['publication walhook', { publication: { ...publication, tables: [] } }, {}],
  ['table "public"."users"', {}, null],
  ['table "public"."users"', {}, { isReadable: false }],
  ['table "public"."users"', {}, { kind: 'v' }],
])('%s is one error line with %j and %j', (what, facts, users) => {
  const lines = check(facts, users)
  expect(worstLevel(lines)).toBe('error')
  const about = lines.filter(line => line.what === what)
  expect(about).toEqual([expect.objectContaining({ level: 'error', mend: expect.stringMatching(/.{10}/) })])
})

const leaf = (name: string, identity: string, hasIdentity = true) => ({
  name: { schema: 'public', name },
  identity,
  hasIdentity,
  generatedInIdentity: 'nothing' as const,
  isLogged: true,
})
const previousOf = (users: Partial<Table>, facts: Partial<SourceFacts> = {}) =>
  check(facts, users).find(({ what }) => what === 'table "public"."users", previous values')

test('check shows whether updates have previous values, how to get them, and the cost', () => {
  expect(previousOf({ identity: 'f' })).toMatchObject({ level: 'ok', found: expect.stringMatching(/^sent/) })
  expect(previousOf({})).toEqual({
    level: 'ok',
    code: 'previous',
    what: 'table "public"."users", previous values',
    found:
      'not sent: webhooks get no "previous", and all updates, whatever their update fields. To send them: alter table "public"."users" replica identity full; Each UPDATE and DELETE then also writes the row before to the WAL, about 240 bytes more',
    mend: null,
  })
  const partitioned = { kind: 'p', identity: 'f', leaves: [leaf('users_1', 'f'), leaf('users_2', 'd')] }
  expect(previousOf(partitioned)?.found).toContain(
    'To send them: alter table "public"."users_2" replica identity full; Each',
  )
})

test('the suggested statement for previous values never breaks a statement of the application', () => {
  const before = { publication: { ...publication, publishesGenerated: false } }
  expect(previousOf({ generated: 'stored' }, before)?.found).toContain(
    'To send them: alter publication walhook set (publish_generated_columns = stored); alter table "public"."users" replica identity full;',
  )
  expect(previousOf({ generated: 'stored' })?.found).toContain('To send them: alter table')
  const from18 = { serverVersion: 180000 }
  expect(previousOf({ generated: 'virtual' }, from18)?.found).toMatch(
    /walhook can't change that: with virtual generated/,
  )
})

test.each<[string, Partial<Table>]>([
  ['entity user, key id', { uniqueColumns: ['mail'] }],
  ['entity user, key id', { kind: 'p', uniqueColumns: [], primaryKey: ['day'] }],
  ['table "public"."users", inheritance', { hasHeirs: true }],
])('%s is a warning if the table has %j', (what, users) => {
  const lines = check({}, users)
  expect(worstLevel(lines)).toBe('warning')
  expect(lines.find(line => line.what === what)).toMatchObject({ level: 'warning', mend: expect.any(String) })
})

test('a key that is unique only together with the partition key is accepted', () => {
  expect(worstLevel(check({}, { kind: 'p', uniqueColumns: [], primaryKey: ['id', 'day'] }))).toBe('ok')
})

test('check names published tables that are not mapped', () => {
  const orders = { ...publication.tables[0]!, name: 'orders' }
  const lines = check({ slot, publication: { ...publication, tables: [...publication.tables, orders] } })
  expect(lines.find(({ what }) => what === 'publication walhook')?.found).toContain(
    'also unmapped tables: "public"."orders"',
  )
})

test.each<[string, Partial<SourceFacts>, Partial<Table>]>([
  [
    'a partition without an identity of its own',
    {},
    { kind: 'p', identity: 'f', leaves: [leaf('users_1', 'd', false)] },
  ],
  [
    'a table that is published, not mapped and without an identity',
    {
      slot,
      publication: {
        ...publication,
        tables: [
          ...publication.tables,
          { ...publication.tables[0]!, name: 'orders', withoutIdentity: ['public.orders'] },
        ],
      },
    },
    {},
  ],
])('check shows that %s would break a statement of the application', (_what, facts, users) => {
  expect(check(facts, users).at(-1)).toMatchObject({
    level: 'error',
    what: "the application's statements",
    found: expect.stringMatching(/users_1|orders/),
  })
})

test('check names the table that would break a statement of the application', () => {
  const lines = check({}, { identity: 'n', identityColumns: [], primaryKey: [] })
  expect(lines.at(-1)).toEqual({
    level: 'error',
    code: 'harm',
    what: "the application's statements",
    found: 'UPDATE or DELETE would fail: table "public"."users"',
    mend: 'fix these first',
  })
})

test('every column is listed as sent, or as withheld with the reason', () => {
  const columns = [
    ['id', 23],
    ['email', 25],
    ['hash', 25],
    ['photo', 17],
    ['pin_code', 25],
    ['password_changed_at', 1184],
  ].map(([name, typeOid]) => ({
    name,
    typeOid,
    typeName: 'of its type',
    isGenerated: false,
  })) as Table['columns']
  const line = check({}, { columns }).find(({ what }) => what === 'entity user, columns')
  expect(line).toEqual({
    level: 'ok',
    code: 'columns',
    what: 'entity user, columns',
    found:
      'sent: id, email, pin_code, password_changed_at; withheld: hash (its name looks like a credential), ' +
      'photo (it holds bytes). To send one of these, name it in the mapping, under rename or include',
    mend: null,
  })
})

test('a problem replaces the ok line of its table or publication', () => {
  const unlogged = check({}, { kind: 'p', leaves: [{ ...leaf('users_1', 'd'), isLogged: false }] })
  const names = unlogged.map(({ what }) => what)
  expect(names).not.toContain('table "public"."users"')
  expect(names.indexOf('table "public"."users", partition "public"."users_1"')).toBeLessThan(
    names.indexOf('table "public"."companies"'),
  )
  const [first] = publication.tables
  const filtered = check({ slot, publication: { ...publication, tables: [{ ...first!, hasFilter: true }] } })
  expect(filtered.filter(({ what }) => what === 'publication walhook')).toEqual([
    expect.objectContaining({ code: 'publication_table_missing' }),
  ])
  expect(filtered.map(({ what }) => what)).toContain('publication walhook, table "public"."users"')
})
