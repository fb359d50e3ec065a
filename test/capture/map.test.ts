import { expect, test } from 'vitest'
import type { Catalogue, Table } from '../../src/capture/catalogue.ts'
import { createMapper } from '../../src/capture/map.ts'
import type { Source } from '../../src/capture/source.ts'
import { type Change, type Relation, type Row, unchanged } from '../../src/domain/change.ts'
import { isInteger, jsonWriter } from '../../src/domain/json-text.ts'
import { type EntityMapping, tableKey } from '../../src/domain/mapping.ts'

const typeOids: Record<string, number> = { integer: 23, text: 25, boolean: 16 }
type Columns = Readonly<Record<string, keyof typeof typeOids>>

function relation(name: string, columns: Columns, oid = 1): Relation {
  const described = Object.entries(columns).map(([column, type], i) => ({
    name: column,
    typeOid: typeOids[type]!,
    inKey: i === 0,
  }))
  return { oid, schema: 'public', name, identity: 'default', columns: described }
}

function tableOf({ schema, name, columns }: Relation): Table {
  return {
    name: { schema, name },
    kind: 'r',
    isPartition: false,
    identity: 'd',
    columns: columns.map(column => ({ ...column, typeName: 'of its type', isGenerated: false })),
    primaryKey: [columns[0]!.name],
    identityColumns: [columns[0]!.name],
    isReadable: true,
    isOwned: true,
  }
}

function catalogueOf(...tables: Table[]): Catalogue {
  return {
    tables: new Map(tables.map(table => [tableKey(table.name), table])),
    writerOf: oid => jsonWriter(oid, () => undefined),
    isInteger: oid => isInteger(oid, () => undefined),
  }
}

const users = relation('users', { id: 'integer', name: 'text', story: 'text' })
const companies = relation('companies', { id: 'text' }, 2)
const links = relation('user_companies', { user_id: 'integer', company_id: 'text' }, 3)

const every = { include: null, omit: [], rename: {} }
const entity = (entityType: string, name: string, related: EntityMapping['related'] = []): EntityMapping => ({
  entityType,
  table: { schema: 'public', name },
  key: 'id',
  fields: every,
  related,
})
const linked = {
  field: 'companies',
  table: { schema: 'public', name: 'user_companies' },
  owner: 'user_id',
  columns: ['company_id'],
  plain: true,
}

/** A mapper over a source whose tables hold these rows now. */
function open(
  options: {
    mapping?: readonly EntityMapping[]
    tables?: Table[]
    present?: Record<string, { columns: Columns; rows: readonly (string | null)[][] }>
  } = {},
) {
  const { present = {} } = options
  const asked: string[] = []
  let reloads = 0
  const query = async ({ text, values }: { text: string; values: [string[]] }) => {
    const table = /from "public"\."(\w+)"/.exec(text)![1]!
    asked.push(`${table} ${values[0].join(' ')}`)
    const { columns, rows } = present[table] ?? { columns: {}, rows: [] }
    const fields = Object.entries(columns).map(([name, type]) => ({ name, dataTypeID: typeOids[type]! }))
    return { rows: rows.filter(row => values[0].includes(row[0]!)), fields }
  }
  const catalogue = catalogueOf(...(options.tables ?? [users, companies, links].map(each => tableOf(each))))
  const map = createMapper({
    source: { pool: { query } } as unknown as Source,
    mapping: options.mapping ?? [entity('user', 'users'), entity('company', 'companies')],
    catalogue,
    reloadCatalogue: async () => {
      reloads++
      return catalogue
    },
  })
  return {
    asked,
    reloads: () => reloads,
    /** Maps transactions, the first at LSN 10, the second at 20 …; events as `10.0 {…}`. */
    async map(...transactions: Change[][]) {
      const parts = transactions.map((changes, i) => ({
        commitLsn: BigInt(10 * (i + 1)),
        committedAt: new Date(i),
        changes,
      }))
      const { events, truncated } = await map(parts)
      return {
        texts: events.map(event => `${event.commitLsn}.${event.index} ${event.body}`),
        events,
        truncated,
      }
    },
  }
}

const insert = (into: Relation, ...row: Row): Change => ({ kind: 'insert', relation: into, row })
const update = (of: Relation, old: Row | null, ...row: Row): Change => ({
  kind: 'update',
  relation: of,
  row,
  old,
})
const remove = (from: Relation, ...old: Row): Change => ({ kind: 'delete', relation: from, old })

test('events come in commit order and in the order of first change, numbered in each transaction', async () => {
  const at = open()
  const { texts, events } = await at.map(
    [insert(companies, 'c'), insert(users, '1', 'a', null), update(companies, null, 'c')],
    [remove(users, '1', null, null), insert(users, '2', 'b', null)],
  )
  expect(texts).toEqual([
    '10.0 {"entity_id":"c","entity_type":"company","action_type":"new","result":{"id":"c"}}',
    '10.1 {"entity_id":1,"entity_type":"user","action_type":"new","result":{"id":1,"name":"a","story":null}}',
    '20.0 {"entity_id":1,"entity_type":"user","action_type":"delete"}',
    '20.1 {"entity_id":2,"entity_type":"user","action_type":"new","result":{"id":2,"name":"b","story":null}}',
  ])
  expect(events.map(({ committedAt }) => committedAt.getTime())).toEqual([0, 0, 1, 1])
  expect(events[0]).toMatchObject({ entityType: 'company', entityId: 'c', actionType: 'new' })
  expect(at.asked).toEqual([])
})

test('what came and went in one transaction is no event, and leaves no hole in the numbers', async () => {
  const { texts } = await open().map([
    insert(users, '1', 'a', null),
    insert(companies, 'c'),
    remove(users, '1', null, null),
  ])
  expect(texts).toEqual([expect.stringMatching(/^10\.0 \{"entity_id":"c"/)])
})

test('a changed key deletes the old entity and then makes the new one, with what the old row gives', async () => {
  const old = ['1', 'a', 'long']
  const { texts } = await open().map([update(users, old, '2', 'b', unchanged)])
  expect(texts).toEqual([
    '10.0 {"entity_id":1,"entity_type":"user","action_type":"delete"}',
    '10.1 {"entity_id":2,"entity_type":"user","action_type":"new","result":{"id":2,"name":"b","story":"long"}}',
  ])
})

test('a row without its key is refused', async () => {
  await expect(open().map([remove(users, null, 'a', null)])).rejects.toThrow(
    'a row of "public"."users" came without its key',
  )
})

test('a key column that is gone from the table is told by its name', async () => {
  const renamed = relation('users', { uid: 'integer' })
  await expect(open().map([insert(renamed, '1')])).rejects.toThrow(
    '"public"."users" no longer has the column id that the mapping names',
  )
})

test('values that the WAL leaves out are read by one query for all transactions; the others stay as they were then', async () => {
  const present = {
    users: {
      columns: { id: 'integer', name: 'text', story: 'text' },
      rows: [
        ['1', 'later', 'kept 1'],
        ['2', 'later', 'kept 2'],
      ],
    },
  } as const
  const at = open({ present: present as never })
  const { texts } = await at.map(
    [update(users, null, '1', 'a', unchanged)],
    [update(users, null, '2', 'b', unchanged), update(users, null, '1', 'c', unchanged)],
    [insert(users, '9', 'whole', 'x')],
  )
  expect(texts.map(text => /"result":(.*)\}$/.exec(text)![1])).toEqual([
    '{"id":1,"name":"a","story":"kept 1"}',
    '{"id":2,"name":"b","story":"kept 2"}',
    '{"id":1,"name":"c","story":"kept 1"}',
    '{"id":9,"name":"whole","story":"x"}',
  ])
  expect(at.asked).toEqual(['users 1 2'])
})

test('values that the WAL leaves out are taken from the old row where there is a whole one', async () => {
  const at = open()
  const { texts } = await at.map([update(users, ['1', 'a', 'long'], '1', 'b', unchanged)])
  expect(texts).toEqual([expect.stringMatching(/"result":\{"id":1,"name":"b","story":"long"\}\}$/)])
  expect(at.asked).toEqual([])
})

test('where the row is gone by the time it is read, the value is left out', async () => {
  const { texts } = await open().map([update(users, null, '1', 'a', unchanged)])
  expect(texts).toEqual([expect.stringMatching(/"result":\{"id":1,"name":"a"\}\}$/)])
})

test('a change of a related row is one update of each owner, with its row and its list as they are', async () => {
  const at = open({
    mapping: [entity('user', 'users', [linked])],
    present: {
      users: { columns: { id: 'integer', name: 'text' }, rows: [['1', 'a']] },
      user_companies: {
        columns: { user_id: 'integer', company_id: 'text' },
        rows: [
          ['1', 'c'],
          ['1', 'd'],
        ],
      },
    },
  })
  const { texts } = await at.map([insert(links, '1', 'c'), update(links, ['2', 'd'], '1', 'd')])
  // User 2 is gone: its delete comes with a later transaction.
  expect(texts).toEqual([
    '10.0 {"entity_id":1,"entity_type":"user","action_type":"update","result":{"id":1,"name":"a","companies":["c","d"]}}',
  ])
  expect(at.asked).toEqual(['users 1 2', 'user_companies 1 2'])
})

test('an entity without related rows has an empty list, a deleted one asks for none, and one that came whole is not read', async () => {
  const at = open({ mapping: [entity('user', 'users', [linked])] })
  const { texts } = await at.map(
    [insert(users, '1', 'a', 'b'), remove(users, '2', null, null)],
    [update(users, null, '1', 'c', 'd'), insert(links, '1', 'c')],
  )
  expect(texts).toEqual([
    '10.0 {"entity_id":1,"entity_type":"user","action_type":"new","result":{"id":1,"name":"a","story":"b","companies":[]}}',
    '10.1 {"entity_id":2,"entity_type":"user","action_type":"delete"}',
    '20.0 {"entity_id":1,"entity_type":"user","action_type":"update","result":{"id":1,"name":"c","story":"d","companies":[]}}',
  ])
  expect(at.asked).toEqual(['user_companies 1'])
})

test('columns that Postgres generates are read, into their place in the table, unless the WAL has them', async () => {
  const whole = relation('users', { id: 'integer', twice: 'integer', name: 'text' })
  const table = tableOf(whole)
  const columns = table.columns.map(each => ({ ...each, isGenerated: each.name === 'twice' }))
  const at = open({
    tables: [{ ...table, columns }],
    present: {
      users: { columns: { id: 'integer', twice: 'integer', name: 'text' }, rows: [['1', '2', 'z']] },
    },
  })
  const streamed = relation('users', { id: 'integer', name: 'text', dropped_since: 'boolean' })
  const { texts } = await at.map([insert(streamed, '1', 'a', null)], [insert(whole, '3', '6', 'c')])
  expect(texts).toEqual([
    expect.stringMatching(/"result":\{"id":1,"twice":2,"name":"a","dropped_since":null\}\}$/),
    expect.stringMatching(/"result":\{"id":3,"twice":6,"name":"c"\}\}$/),
  ])
  expect(at.asked).toEqual(['users 1'])
})

test('a truncated table is told by its name, and makes no event', async () => {
  const { texts, truncated } = await open().map([{ kind: 'truncate', relations: [users, links] }])
  expect(texts).toEqual([])
  expect(truncated).toEqual(['"public"."users"', '"public"."user_companies"'])
})

test('one table may be several entities', async () => {
  const { texts } = await open({ mapping: [entity('user', 'users'), entity('member', 'users')] }).map([
    remove(users, '1', null, null),
  ])
  expect(texts.map(text => /"entity_type":"(\w+)"/.exec(text)![1])).toEqual(['user', 'member'])
})

test('the catalogue is read again for each relation that is announced, and only then', async () => {
  const at = open()
  await at.map([insert(users, '1', 'a', 'b')], [insert(users, '2', 'a', 'b')])
  await at.map([insert(users, '3', 'a', 'b')])
  expect(at.reloads()).toBe(1)
  await at.map([insert({ ...users }, '4', 'a', 'b')])
  expect(at.reloads()).toBe(2)
})

test('a value left alone is not taken from another column, where the columns were changed in between', async () => {
  const at = open()
  const before = relation('users', { id: 'integer', nick: 'text', story: 'text' })
  const after = relation('users', { id: 'integer', story: 'text', name: 'text' })
  const { texts } = await at.map([
    insert(before, '1', 'Bo', 'long'),
    update(after, null, '1', unchanged, 'a'),
  ])
  expect(texts).toEqual([expect.stringMatching(/"action_type":"new","result":\{"id":1,"name":"a"\}\}$/)])
  const retyped = relation('users', { id: 'integer', name: 'text', story: 'boolean' })
  await at.map([insert(users, '1', 'a', 't'), update(retyped, null, '1', 'a', unchanged)])
  expect(at.asked).toEqual(['users 1', 'users 1'])
})
