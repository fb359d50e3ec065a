import { expect, test } from 'vitest'
import type { Catalogue, Table } from '../../src/capture/catalogue.ts'
import { checkLines, worstLevel } from '../../src/capture/check.ts'
import type { SourceFacts } from '../../src/capture/preflight-verdict.ts'
import { defaultMapping } from '../../src/domain/mapping.ts'

const nowMs = Date.UTC(2026, 0, 1)
const sound: SourceFacts = {
  role: 'walhook',
  database: 'app',
  serverVersion: 180004,
  systemIdentifier: '1',
  isStandby: false,
  walLevel: 'logical',
  walEnd: '0/0',
  maxSlots: 10,
  usedSlots: 1,
  maxSenders: 10,
  usedSenders: 1,
  walSenderTimeoutMs: 60_000,
  maxSlotWalKeepMb: 4_096,
  serverNowMs: nowMs,
  mayReplicate: true,
  mayCreate: true,
  slot: null,
  publication: null,
}
const slot = {
  plugin: 'pgoutput',
  database: 'app',
  walStatus: 'reserved',
  confirmedLsn: '0/1',
  heldBackBytes: 1024,
}
const publication = {
  isForAllTables: false,
  publishesAll: true,
  isOwned: true,
  tables: ['users', 'companies'].map(name => ({
    schema: 'public',
    name,
    hasFilter: false,
    hasColumnList: false,
  })),
}

const table = (name: string, change: Partial<Table> = {}): Table => ({
  name: { schema: 'public', name },
  oid: 1,
  kind: 'r',
  isPartition: false,
  identity: 'd',
  columns: [{ name: 'id', typeOid: 23, typeName: 'integer', isGenerated: false }],
  primaryKey: ['id'],
  identityColumns: ['id'],
  isReadable: true,
  isOwned: true,
  ...change,
})

function check(facts: Partial<SourceFacts> = {}, users: Partial<Table> | null = {}) {
  const tables = new Map([['"public"."companies"', table('companies')]])
  if (users) tables.set('"public"."users"', table('users', users))
  const catalogue = { tables, otherTables: [] } as unknown as Catalogue
  const options = { slotName: 'walhook', publicationName: 'walhook', mapping: defaultMapping, nowMs }
  return checkLines({ ...sound, ...facts }, catalogue, options)
}

test('a sound source is ok, line by line, before and after the first start', () => {
  expect(worstLevel(check())).toBe('ok')
  expect(worstLevel(check({ slot, publication }))).toBe('ok')
  expect(check().map(({ what }) => what)).toEqual([
    'PostgreSQL version',
    'source database',
    'wal_level',
    'role walhook',
    'max_replication_slots',
    'max_wal_senders',
    'max_slot_wal_keep_size',
    'wal_sender_timeout',
    'clock',
    'table "public"."users"',
    'table "public"."companies"',
    'publication walhook',
    'replication slot walhook',
    "the application's statements",
  ])
})

test.each<[string, Partial<SourceFacts>]>([
  ['max_slot_wal_keep_size', { maxSlotWalKeepMb: -1 }],
  ['wal_sender_timeout', { walSenderTimeoutMs: 0 }],
  ['clock', { serverNowMs: nowMs - 6_000 }],
  ['replication slot walhook', { publication, slot: { ...slot, heldBackBytes: 2 ** 31 } }],
  ['replication slot walhook', { publication, slot: { ...slot, walStatus: 'unreserved' } }],
])('%s deserves a look with %j, and says what to do', (what, facts) => {
  const lines = check(facts)
  expect(worstLevel(lines)).toBe('warning')
  expect(lines.find(line => line.what === what)).toMatchObject({ level: 'warning', mend: expect.any(String) })
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
])('%s is an error with %j and %j, in its own place, once', (what, facts, users) => {
  const lines = check(facts, users)
  expect(worstLevel(lines)).toBe('error')
  const about = lines.filter(line => line.what === what)
  expect(about).toEqual([expect.objectContaining({ level: 'error', mend: expect.stringMatching(/.{10}/) })])
})

test('it says which table would make a statement of the application fail', () => {
  const lines = check({}, { identity: 'n', identityColumns: [], primaryKey: [] })
  expect(lines.at(-1)).toEqual({
    level: 'error',
    what: "the application's statements",
    found: 'UPDATE or DELETE would fail: table "public"."users"',
    mend: 'mend these first',
  })
})
