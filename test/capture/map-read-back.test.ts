import { expect, test } from 'vitest'
import { readRows } from '../../src/capture/map/read-back.ts'
import { unchanged } from '../../src/domain/capture/change.ts'
import {
  entity,
  fullUsers,
  insert,
  linked,
  links,
  openMapper,
  relation,
  remove,
  tableOf,
  update,
  users,
} from '../support/open-mapper.ts'

test('values missing in the WAL are read by one query for all transactions; others keep their value in the WAL', async () => {
  const present = {
    users: {
      columns: { id: 'integer', name: 'text', story: 'text' },
      rows: [
        ['1', 'later', 'kept 1'],
        ['2', 'later', 'kept 2'],
      ],
    },
  } as const
  const at = openMapper({ present: present as never })
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

test('values missing in the WAL are taken from a complete old row', async () => {
  const at = openMapper()
  const { texts } = await at.map([update(fullUsers, ['1', 'a', 'long'], '1', 'b', unchanged)])
  expect(texts).toEqual([expect.stringMatching(/"result":\{"id":1,"name":"b","story":"long"\}\}$/)])
  expect(at.asked).toEqual([])
})

test('values missing in the WAL are read, rather than null, if the old row has only its key', async () => {
  const at = openMapper({
    present: {
      users: { columns: { id: 'integer', story: 'text' }, rows: [['2', 'kept']] },
    },
  })
  const { texts } = await at.map([update(users, ['1', null, null], '2', 'b', unchanged)])
  expect(texts[1]).toMatch(/"result":\{"id":2,"name":"b","story":"kept"\}\}$/)
})

test('omitted columns are never read back', async () => {
  const omitting = { ...entity('user', 'users'), fields: { include: null, omit: ['story'], rename: {} } }
  const at = openMapper({ mapping: [omitting] })
  const { texts } = await at.map([update(users, null, '1', 'a', unchanged)])
  expect(texts).toEqual([expect.stringMatching(/"result":\{"id":1,"name":"a"\}\}$/)])
  expect(at.asked).toEqual([])

  const statements: string[] = []
  const db = {
    async query({ text }: { text: string }) {
      statements.push(/select (.*) from/.exec(text)![1]!)
      if (statements.length === 1) throw Object.assign(new Error('it has another name'), { code: '42703' })
      return { rows: [], fields: [] }
    },
  }
  const catalogue = { tables: new Map([['"public"."users"', tableOf(users)]]) }
  await readRows(db as never, catalogue as never, omitting, ['1'])
  expect(statements).toEqual(['"id", "name"', '*'])
})

test('if the row is gone when it is read, the value is omitted', async () => {
  const { texts } = await openMapper().map([update(users, null, '1', 'a', unchanged)])
  expect(texts).toEqual([expect.stringMatching(/"result":\{"id":1,"name":"a"\}\}$/)])
})

test('a changed related row is one update of each owner, with its current row and list', async () => {
  const at = openMapper({
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

test('an entity without related rows has an empty list; deleted and complete ones cause no query', async () => {
  const at = openMapper({ mapping: [entity('user', 'users', [linked])] })
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

test('generated columns are read, in their position in the table, unless the WAL has them', async () => {
  const whole = relation('users', { id: 'integer', twice: 'integer', name: 'text' })
  const table = tableOf(whole)
  const columns = table.columns.map(each => ({ ...each, isGenerated: each.name === 'twice' }))
  const at = openMapper({
    tables: [{ ...table, columns, attributes: ['id', 'twice', 'name', null] }],
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

test('the catalogue is read again for each relation message only', async () => {
  const at = openMapper()
  await at.map([insert(users, '1', 'a', 'b')], [insert(users, '2', 'a', 'b')])
  await at.map([insert(users, '3', 'a', 'b')])
  expect(at.reloads()).toBe(1)
  await at.map([insert({ ...users }, '4', 'a', 'b')])
  expect(at.reloads()).toBe(2)
})

test('a missing value is never taken from another column after columns were changed', async () => {
  const attributes = ['id', null, 'story', 'name']
  const at = openMapper({ tables: [{ ...tableOf(users), attributes }] })
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

const usersNow = (...row: string[]) =>
  ({ users: { columns: { id: 'integer', name: 'text', story: 'text' }, rows: [row] } }) as never
const results = ({ texts }: { texts: string[] }) =>
  texts.map(text => /"result":(.*)\}$/.exec(text)?.[1] ?? text.slice(0, 4))

test('once a row was sent in its current state, its earlier changes are sent so too, in the same batch and in later ones', async () => {
  const at = openMapper({
    mapping: [entity('user', 'users', [linked])],
    present: usersNow('1', 'newest', 's'),
    walEnd: '0/2D',
  })
  const first = await at.map(
    [update(users, null, '1', 'before', 's')],
    [insert(links, '1', 'c')],
    [update(users, null, '1', 'between', 's')],
  )
  expect(results(first)).toEqual([
    '{"id":1,"name":"before","story":"s","companies":[]}',
    '{"id":1,"name":"newest","story":"s","companies":[]}',
    '{"id":1,"name":"newest","story":"s","companies":[]}',
  ])
  const before = await at.map([], [], [], [update(users, null, '1', 'still before', 's')])
  expect(results(before)).toEqual(['{"id":1,"name":"newest","story":"s","companies":[]}'])
  // The WAL ended at 45 when it was read: what comes from there on is newer.
  const after = await at.map([], [], [], [], [update(users, null, '1', 'after', 's')])
  expect(results(after)).toEqual(['{"id":1,"name":"after","story":"s","companies":[]}'])
})

test('earlier changes of a row that is deleted by now are sent as in the WAL', async () => {
  const at = openMapper({ mapping: [entity('user', 'users', [linked])], walEnd: '0/FF' })
  const first = await at.map([insert(links, '1', 'c')], [insert(users, '1', 'a', 's')])
  expect(results(first)).toEqual(['{"id":1,"name":"a","story":"s","companies":[]}'])
  const next = await at.map([], [], [remove(users, '1', null, null)])
  expect(next.texts).toEqual([expect.stringContaining('"action_type":"delete"')])
})

test('a value that was read back is read again; others keep their value in the WAL', async () => {
  const at = openMapper({ present: usersNow('1', 'newest', 'newest story'), walEnd: '0/FF' })
  const first = await at.map([update(users, null, '1', 'a', unchanged)])
  expect(results(first)).toEqual(['{"id":1,"name":"a","story":"newest story"}'])
  const next = await at.map([], [update(users, null, '1', 'b', 'an earlier story')])
  expect(results(next)).toEqual(['{"id":1,"name":"b","story":"newest story"}'])
})

test('up to the position that an earlier process had read, every row is sent in its current state', async () => {
  const at = openMapper({ present: usersNow('1', 'newest', 's'), readBefore: 25n })
  const told = await at.map(
    [update(users, null, '1', 'a', 's'), insert(users, '3', 'inserted, and deleted later', 's')],
    [update(users, null, '2', 'changed, and deleted later', 's'), remove(users, '1', null, null)],
    [update(users, null, '4', 'after', 's')],
  )
  expect(results(told)).toEqual([
    '{"id":1,"name":"newest","story":"s"}',
    '{"id":3,"name":"inserted, and deleted later","story":"s"}',
    '20.0',
    '{"id":4,"name":"after","story":"s"}',
  ])
})

test('an entity that is deleted by now is sent as in the WAL, although an earlier one was sent in its current state', async () => {
  const rows = [['1', 'newest', 's']]
  const users1 = { columns: { id: 'integer', name: 'text', story: 'text' }, rows }
  const at = openMapper({
    mapping: [entity('user', 'users', [linked])],
    present: { users: users1 } as never,
    walEnd: '0/FF',
  })
  expect(results(await at.map([insert(links, '1', 'c')]))).toEqual([
    '{"id":1,"name":"newest","story":"s","companies":[]}',
  ])
  rows.length = 0
  const { texts } = await at.map(
    [],
    [remove(users, '1', null, null)],
    [insert(users, '1', 'again', 's')],
    [update(users, null, '1', 'left out, as it is gone', 's')],
    [remove(users, '1', null, null)],
  )
  expect(texts.map(text => /"action_type":"(\w+)"/.exec(text)![1])).toEqual(['delete', 'new', 'delete'])
})

test('an owner inserted after its related row is sent once as new with its list; an existing one is sent both times', async () => {
  const at = openMapper({
    mapping: [entity('user', 'users', [linked])],
    present: {
      users: {
        columns: { id: 'integer', name: 'text', story: 'text' },
        rows: [
          ['1', 'a', 's'],
          ['2', 'b', 's'],
        ],
      },
      user_companies: {
        columns: { user_id: 'integer', company_id: 'text' },
        rows: [
          ['1', '7'],
          ['2', '8'],
        ],
      },
    },
  })
  const { texts } = await at.map(
    [insert(links, '1', '7'), insert(links, '2', '8')],
    [insert(users, '1', 'a', 's'), remove(users, '2', null, null)],
    [insert(users, '2', 'b', 's'), insert(links, '1', '9')],
  )
  const actions = texts.map(text => /"entity_id":(\d),.*"action_type":"(\w+)"/.exec(text)!.slice(1).join(' '))
  expect(actions).toEqual(['2 update', '1 new', '2 delete', '2 new', '1 update'])
  expect(texts[1]).toContain('"companies":["7"]')
})
