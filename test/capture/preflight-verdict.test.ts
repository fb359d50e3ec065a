import { expect, test } from 'vitest'
import type { Catalogue, Table } from '../../src/capture/verdict/catalogue.ts'
import { checkMapping } from '../../src/capture/verdict/mapping-verdict.ts'
import {
  checkServer,
  type PublicationFacts,
  type SourceFacts,
} from '../../src/capture/verdict/preflight-verdict.ts'
import { checkPublication, createPublication } from '../../src/capture/verdict/publication-verdict.ts'
import { columnKind } from '../../src/domain/mapping/credentials.ts'
import { defaultMapping, type EntityMapping, tableKey } from '../../src/domain/mapping/mapping.ts'
import { formatProblem } from '../../src/domain/value/problem.ts'

const facts: SourceFacts = {
  role: 'Web Hooks',
  database: 'app',
  serverVersion: 140000,
  systemIdentifier: '7',
  isStandby: false,
  walLevel: 'logical',
  maxSlots: 10,
  usedSlots: 9,
  maxSenders: 10,
  usedSenders: 9,
  walSenderTimeoutMs: 60_000,
  maxSlotWalKeepMb: -1,
  serverNowMs: 0,
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
  heldBackBytes: 0,
}
const publication: PublicationFacts = {
  isForAllTables: false,
  publishesAll: true,
  isOwned: true,
  viaRoot: true,
  publishesGenerated: true,
  schemas: [],
  tables: defaultMapping.map(({ table }) => ({
    ...table,
    hasFilter: false,
    hasColumnList: false,
    withoutIdentity: [],
    generatedInIdentity: 'nothing',
  })),
}

function table(name: string, columns: readonly string[], part: Partial<Table> = {}): Table {
  return {
    name: { schema: 'public', name },
    oid: 1,
    kind: 'r',
    isPartition: false,
    identity: 'd',
    columns: columns.map(column => ({ name: column, typeOid: 23, typeName: 'integer', isGenerated: false })),
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
    ...part,
  }
}

const leaf = {
  name: { schema: 'public', name: 'p1' },
  identity: 'd',
  hasIdentity: true,
  generatedInIdentity: 'nothing',
  isLogged: true,
} as const

function catalogueOf(...tables: Table[]): Catalogue {
  return {
    tables: new Map(tables.map(each => [tableKey(each.name), each])),
    otherTables: [
      { schema: 'crm', name: 'users' },
      { schema: 'public', name: 'user' },
      { schema: 'crm', name: 'link_table' },
    ],
    writerOf: () => text => text,
    hasFormat: (_oid, format) => format === 'string',
    isInteger: () => true,
    kindOf: oid => columnKind(oid, () => undefined),
    baseTypeOf: oid => oid,
  }
}

const users = table('users', ['id', 'mail'])
const companies = table('companies', ['id', 'name'])
const catalogue = catalogueOf(users, companies)
const names = { slotName: 'walhook' }

test('a sound source has no problems, before and after setup', () => {
  const made = { ...facts, slot, publication, usedSlots: 10 }
  for (const each of [facts, made]) {
    expect(checkServer(each, names)).toEqual([])
    expect(
      checkPublication(each, catalogue, { mapping: defaultMapping, publicationName: 'walhook' }),
    ).toEqual([])
  }
  expect(checkMapping(catalogue, defaultMapping, facts)).toEqual([])
})

test.each<[Partial<SourceFacts>, string]>([
  [{ serverVersion: 130014 }, 'PostgreSQL version: 130014. Fix: walhook needs PostgreSQL 14 or newer'],
  [{ isStandby: true }, 'source database: a standby (in recovery). Fix: set DATABASE_URL to the primary'],
  [{ walLevel: 'replica' }, "wal_level: replica. Fix: run: alter system set wal_level = 'logical';"],
  [
    { mayReplicate: false },
    'role Web Hooks: may not replicate. Fix: run as a superuser: alter role "Web Hooks" replication;',
  ],
  [{ usedSlots: 10 }, 'max_replication_slots: 10, all in use. Fix: drop a slot that nobody reads'],
  [{ usedSenders: 10 }, 'max_wal_senders: 10, all in use. Fix: run: alter system set max_wal_senders = 15;'],
  [
    { slot: { ...slot, plugin: 'wal2json' } },
    'replication slot walhook: of plugin wal2json in database app. Fix: it belongs to another program: set WALHOOK_SLOT',
  ],
  [
    { slot: { ...slot, database: 'other' } },
    'replication slot walhook: of plugin pgoutput in database other.',
  ],
  [{ slot: { ...slot, plugin: null, database: null } }, 'replication slot walhook: a physical slot.'],
])('%j is one problem of the server, with the fix', (change, expected) => {
  const problems = checkServer({ ...facts, ...change }, names).map(formatProblem)
  expect(problems).toEqual([expect.stringContaining(expected)])
})

test('a slot that has lost its WAL is a gap, not a problem of the server', () => {
  expect(checkServer({ ...facts, slot: { ...slot, walStatus: 'lost' } }, names)).toEqual([])
})

const [user] = defaultMapping as [EntityMapping]
const related = {
  field: 'companies',
  table: { schema: 'public', name: 'user_companies' },
  owner: 'user_id',
  columns: ['company_id'],
  plain: true,
}
const withRelated = { ...user, related: [related] }
const userCompanies = (part: Partial<Table>) =>
  table('user_companies', ['id', 'user_id', 'company_id'], { identityColumns: ['user_id', 'id'], ...part })

test.each<[string, Table[], EntityMapping, string]>([
  ['is not there', [], user, 'table "public"."users": missing.'],
  [
    'is a view',
    [{ ...users, kind: 'v' }],
    user,
    'table "public"."users": a view or foreign table. Fix: map the underlying table',
  ],
  [
    'may not be read',
    [{ ...users, isReadable: false }],
    user,
    'role Web Hooks may not read it. Fix: run: grant usage on schema "public" to "Web Hooks"; grant select on "public"."users" to "Web Hooks";',
  ],
  [
    'has no key',
    [{ ...users, primaryKey: [], identityColumns: [] }],
    user,
    'no primary key. Fix: published like this, the application\'s own UPDATE and DELETE would fail. Run: alter table "public"."users" add primary key (…);  or: alter table "public"."users" replica identity full;',
  ],
  [
    'has a key, and the identity NOTHING',
    [{ ...users, identity: 'n', identityColumns: [] }],
    user,
    'its replica identity is NOTHING. Fix: published like this, the application\'s own UPDATE and DELETE would fail. Run: alter table "public"."users" replica identity default;',
  ],
  [
    'has a deferrable key',
    [{ ...users, identityColumns: [] }],
    user,
    'its primary key is deferrable, so it cannot be a replica identity. Fix: published like this, the application\'s own UPDATE and DELETE would fail. Run: alter table "public"."users" add primary key (…);  or: alter table "public"."users" replica identity full;',
  ],
  [
    'has a partition without an identity',
    [
      {
        ...users,
        kind: 'p',
        leaves: [{ ...leaf, hasIdentity: false }],
      },
    ],
    user,
    'table "public"."users", partition "public"."p1": has no replica identity of its own. Fix: published like this, the application\'s own UPDATE and DELETE would fail. Run: alter table "public"."p1" replica identity full;',
  ],
  [
    'is unlogged',
    [{ ...users, isLogged: false }],
    user,
    'table "public"."users": unlogged: its changes are not in the WAL. Fix: run: alter table "public"."users" set logged;',
  ],
  [
    'has an unlogged partition',
    [{ ...users, kind: 'p', leaves: [leaf, { ...leaf, isLogged: false }] }],
    user,
    'table "public"."users", partition "public"."p1": unlogged: its changes are not in the WAL.',
  ],
  [
    'has no such key',
    [users],
    { ...user, key: 'uuid' },
    'entity user: column uuid: "public"."users" has id, mail. Fix: correct the mapping',
  ],
  [
    'has no such column to include',
    [users],
    { ...user, fields: { ...user.fields, include: ['id', 'post'] } },
    'entity user: column post: "public"."users" has id, mail.',
  ],
  [
    'has no such column to omit',
    [users],
    { ...user, fields: { ...user.fields, omit: ['post'] } },
    'entity user: column post: "public"."users" has id, mail.',
  ],
  [
    'has no such column to rename',
    [users],
    { ...user, fields: { ...user.fields, rename: { post: 'mail2' } } },
    'entity user: column post: "public"."users" has id, mail.',
  ],
  [
    'has the key outside its identity',
    [users],
    { ...user, key: 'mail' },
    'entity user: column mail: not in the replica identity of "public"."users" (id). Fix: a DELETE would not say which entity it concerns. Run: alter table "public"."users" replica identity full;',
  ],
  [
    'has two columns under one name',
    [users],
    { ...user, fields: { ...user.fields, rename: { mail: 'id' } } },
    'entity user: field id: twice: column id and column mail. Fix: rename or omit one of them in the mapping',
  ],
  [
    'has a column that is included, named like a related list',
    [{ ...users, columns: table('users', ['id', 'companies']).columns }, userCompanies({})],
    { ...withRelated, fields: { ...withRelated.fields, include: ['id', 'companies'] } },
    'entity user: field companies: twice: column companies and related companies.',
  ],
  [
    'has a related table that is not there',
    [users],
    withRelated,
    'table "public"."user_companies": missing. Fix: create it, or name the right table in the mapping',
  ],
  [
    'is not there, where a similar one is',
    [],
    { ...user, table: { schema: 'public', name: 'userss' } },
    'table "public"."userss": missing. Fix: create it, or correct the mapping (WALHOOK_CONFIG): did you mean "public"."user"?',
  ],
  [
    'is not there, but in another schema',
    [],
    { ...user, table: { schema: 'public', name: 'Link_table' } },
    'did you mean "crm"."link_table"?',
  ],
  [
    'has no such column to format',
    [users],
    { ...user, fields: { ...user.fields, format: { mall: 'string' } } },
    'entity user: column mall: "public"."users" has id, mail. Fix: correct the mapping: did you mean mail?',
  ],
  [
    'has a column of another type than the format is for',
    [users],
    { ...user, fields: { ...user.fields, format: { mail: 'unix_seconds', id: 'string' } } },
    'entity user: column mail: the format unix_seconds does not fit its type integer. Fix: correct the mapping: its formats are string',
  ],
  [
    'has a related table with a column of another type than the format is for',
    [users, userCompanies({})],
    { ...user, related: [{ ...related, format: { company_id: 'hex' } }] },
    'entity user, related companies: column company_id: the format hex does not fit its type integer.',
  ],
  [
    'has a related table without the column that names the fields',
    [users, userCompanies({})],
    { ...user, related: [{ ...related, key: 'name' }] },
    'entity user, related companies: column name: "public"."user_companies" has id, user_id, company_id.',
  ],
  [
    'has a related table with two columns under one name',
    [users, userCompanies({})],
    {
      ...user,
      related: [{ ...related, columns: ['id', 'company_id'], plain: false, rename: { company_id: 'id' } }],
    },
    'entity user, related companies: field id: twice: column id and column company_id.',
  ],
  [
    'has a related table without the column',
    [users, userCompanies({ columns: users.columns.slice(0, 1).concat(userCompanies({}).columns[1]!) })],
    withRelated,
    'entity user, related companies: column company_id: "public"."user_companies" has id, user_id.',
  ],
  [
    'has a related table whose deleted rows would not name their owner',
    [users, userCompanies({ identityColumns: ['id'] })],
    withRelated,
    'entity user, related companies: column user_id: not in the replica identity of "public"."user_companies" (id).',
  ],
])('a mapped table that %s is one problem', (_what, tables, entity, expected) => {
  const problems = checkMapping(catalogueOf(...tables), [entity], facts).map(formatProblem)
  expect(problems).toEqual([expect.stringContaining(expected)])
})

test('generated columns in a replica identity break statements from PostgreSQL 18 on; virtual ones with any publication', () => {
  const virtual = { ...users, identity: 'f', generatedInIdentity: 'virtual' } as const
  const partitioned = { ...users, kind: 'p', leaves: [{ ...leaf, generatedInIdentity: 'virtual' }] } as const
  const check = (table: Table, serverVersion: number) =>
    checkMapping(catalogueOf(table), [user], { ...facts, serverVersion }).map(formatProblem)
  for (const [table, what] of [
    [virtual, 'table "public"."users"'],
    [partitioned, 'table "public"."users", partition "public"."p1"'],
  ] as const) {
    expect(check(table, 180000)).toEqual([
      expect.stringMatching(
        `^${what}: .*virtual generated columns.*own UPDATE and DELETE would fail. Run: alter table .* replica identity default;`,
      ),
    ])
    expect(check(table, 170009)).toEqual([])
  }
  expect(check({ ...users, generatedInIdentity: 'stored' }, 180000)).toEqual([])
  const left = { ...publication.tables[0]!, generatedInIdentity: 'stored' } as const
  const before = {
    publication: { ...publication, publishesGenerated: false, tables: [left, publication.tables[1]!] },
  }
  expect(
    checkPublication({ ...facts, ...before }, catalogue, {
      mapping: defaultMapping,
      publicationName: 'walhook',
    }),
  ).toEqual([])
})

test('a partitioned table, and related rows that name their owner, are fine', () => {
  const tables = catalogueOf({ ...users, kind: 'p' }, userCompanies({}))
  expect(checkMapping(tables, [withRelated], facts)).toEqual([])
})

const create =
  'create publication walhook for table "public"."users", "public"."companies" with (publish_via_partition_root = true);'

function check(change: Partial<SourceFacts>, tables = catalogue) {
  const options = { mapping: defaultMapping, publicationName: 'walhook' }
  return checkPublication({ ...facts, ...change }, tables, options).map(formatProblem)
}

test('the publication lists each mapped table once by name', () => {
  expect(createPublication('walhook', [...defaultMapping, ...defaultMapping], facts)).toBe(create)
})

test('generated columns are published if possible, so that no replica identity breaks a statement', () => {
  const made = createPublication('walhook', defaultMapping, { serverVersion: 180000 })
  expect(made).toContain('with (publish_via_partition_root = true, publish_generated_columns = stored);')
})

test.each<[string, Partial<SourceFacts>, string[]]>([
  [
    'may not be made by this role',
    { mayCreate: false },
    [
      `publication walhook: missing, and role Web Hooks may not create one in database app. Fix: run as the owner of the tables: ${create}`,
    ],
  ],
  [
    'is for all tables',
    { publication: { ...publication, isForAllTables: true, tables: [] } },
    [
      `publication walhook: FOR ALL TABLES. Fix: walhook would capture its own tables. Run: drop publication walhook; ${create}`,
    ],
  ],
  [
    'leaves out some kind of change',
    { publication: { ...publication, publishesAll: false } },
    ["set (publish = 'insert, update, delete, truncate');"],
  ],
  [
    'leaves out a table',
    { publication: { ...publication, tables: publication.tables.slice(0, 1) } },
    [
      'publication walhook: without "public"."companies". Fix: run: alter publication walhook add table "public"."companies";',
    ],
  ],
  [
    'has a row filter and a column list',
    {
      publication: {
        ...publication,
        tables: [
          { ...publication.tables[0]!, hasFilter: true },
          { ...publication.tables[1]!, hasColumnList: true },
        ],
      },
    },
    [
      'publication walhook, table "public"."users": a row filter. Fix: either can make the application\'s own UPDATE fail',
      'publication walhook, table "public"."companies": a column list.',
    ],
  ],
  [
    'holds another table that its publication harms',
    {
      publication: {
        ...publication,
        tables: [
          ...publication.tables,
          { ...publication.tables[0]!, name: 'orders', withoutIdentity: ['public.orders'] },
        ],
      },
    },
    [
      'publication walhook, table "public"."orders": not mapped, and without a replica identity: public.orders. Fix: published like this, the application\'s own UPDATE and DELETE would fail. Run: alter publication walhook drop table "public"."orders";',
    ],
  ],
  [
    'leaves out generated columns that are in a replica identity',
    {
      serverVersion: 180000,
      publication: {
        ...publication,
        publishesGenerated: false,
        tables: [{ ...publication.tables[0]!, generatedInIdentity: 'stored' }, publication.tables[1]!],
      },
    },
    [
      'publication walhook: leaves out generated columns of the replica identity of "public"."users". Fix: published like this, the application\'s own UPDATE and DELETE would fail. Run: alter publication walhook set (publish_generated_columns = stored);',
    ],
  ],
  [
    'holds another table with virtual columns in its replica identity',
    {
      serverVersion: 180000,
      publication: {
        ...publication,
        tables: [
          ...publication.tables,
          { ...publication.tables[0]!, name: 'orders', generatedInIdentity: 'virtual' },
        ],
      },
    },
    ['table "public"."orders": not mapped, and with virtual generated columns in its replica identity.'],
  ],
])('a publication that %s is refused', (_what, change, expected) => {
  expect(check(change)).toEqual(expected.map(part => expect.stringContaining(part)))
})

test('a publication that names partitions is refused where a partitioned table is mapped', () => {
  const change = { publication: { ...publication, viaRoot: false, tables: publication.tables.slice(1) } }
  expect(check(change, catalogueOf({ ...users, kind: 'p' }, companies))).toEqual([
    expect.stringContaining('run: alter publication walhook set (publish_via_partition_root = true);'),
  ])
  expect(check({ publication: { ...publication, viaRoot: false } })).toEqual([])
})

test('mapping a partition of a published table is refused: the table must be mapped', () => {
  const change = { publication: { ...publication, tables: publication.tables.slice(1) } }
  expect(check(change, catalogueOf({ ...users, isPartition: true }, companies))).toEqual([
    expect.stringContaining('as those of its published table: map that table instead of "public"."users"'),
  ])
})

test("a WAL sender that reads walhook's own slot is available", () => {
  const full = { ...facts, usedSenders: 10 }
  expect(checkServer({ ...full, slot: { ...slot, isActive: true } }, names)).toEqual([])
  expect(checkServer({ ...full, slot }, names)).toHaveLength(1)
})

test('a missing publication with an existing slot is a gap, not a problem of the server', () => {
  expect(check({ slot, mayCreate: false })).toEqual([])
})

test('a publication that cannot be created names the tables of other owners', () => {
  expect(check({}, catalogueOf(users, { ...companies, isOwned: false }))).toEqual([
    expect.stringContaining('because it does not own "public"."companies".'),
  ])
})

test('a missing table is not required in the publication', () => {
  const renamed = { ...publication.tables[0]!, name: 'people' }
  const change = { publication: { ...publication, tables: [renamed, ...publication.tables.slice(1)] } }
  expect(check(change, catalogueOf(companies))).toEqual([])
})

test('a publication may hold tables that are not mapped', () => {
  const more = { ...publication.tables[0]!, name: 'orders' }
  expect(check({ publication: { ...publication, tables: [...publication.tables, more] } })).toEqual([])
})
