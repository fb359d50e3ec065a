import { expect, test } from 'vitest'
import { type Change, unchanged } from '../../src/domain/capture/change.ts'
import type { EntityMapping } from '../../src/domain/mapping/mapping.ts'
import {
  companies,
  entity,
  fullUsers,
  insert,
  links,
  openMapper,
  relation,
  remove,
  tableOf,
  update,
  users,
} from '../support/open-mapper.ts'

test('events come in commit order and in the order of first change, numbered in each transaction', async () => {
  const at = openMapper()
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

test('a row inserted and deleted in one transaction is not an event, and leaves no gap in the numbers', async () => {
  const { texts } = await openMapper().map([
    insert(users, '1', 'a', null),
    insert(companies, 'c'),
    remove(users, '1', null, null),
  ])
  expect(texts).toEqual([expect.stringMatching(/^10\.0 \{"entity_id":"c"/)])
})

test('a changed key deletes the old entity, then creates the new one with the values of a complete old row', async () => {
  const old = ['1', 'a', 'long']
  const { texts } = await openMapper().map([update(fullUsers, old, '2', 'b', unchanged)])
  expect(texts).toEqual([
    '10.0 {"entity_id":1,"entity_type":"user","action_type":"delete"}',
    '10.1 {"entity_id":2,"entity_type":"user","action_type":"new","result":{"id":2,"name":"b","story":"long"}}',
  ])
})

test('each row without its key is parked, and counts among the events', async () => {
  const { texts, parked } = await openMapper().map([
    remove(users, null, 'a', null),
    insert(companies, 'c'),
    remove(users, null, 'b', null),
  ])
  const reason = 'a row of "public"."users" without its key id'
  const user = { entityType: 'user', entityId: null, actionType: 'delete', reason, commitLsn: 10n }
  expect(parked).toEqual([
    { ...user, index: 0 },
    { ...user, index: 2 },
  ])
  expect(texts).toEqual([expect.stringMatching(/^10\.1 \{"entity_id":"c"/)])
})

test('a key that is too large is parked with its beginning; the largest allowed one is not', async () => {
  const largest = 'é'.repeat(512)
  const { texts, parked } = await openMapper().map([
    insert(companies, largest),
    insert(companies, `${largest}x`),
    insert(companies, `${largest}y`),
    remove(companies, `${largest}y`),
  ])
  expect(texts).toHaveLength(1)
  expect(parked).toEqual([
    {
      entityType: 'company',
      entityId: 'é'.repeat(200),
      actionType: 'new',
      reason: 'the key id has 1025 bytes, but an entity_id may have at most 1024',
      commitLsn: 10n,
      index: 1,
    },
  ])
})

const omitsStory = { ...entity('user', 'users'), fields: { include: null, omit: ['story'], rename: {} } }
test.each<[string, number, EntityMapping, Change]>([
  ['nothing', 0, entity('user', 'users'), update(fullUsers, ['1', 'a', 's'], '1', 'a', 's')],
  [
    'nothing, a large value left alone',
    0,
    entity('user', 'users'),
    update(fullUsers, ['1', 'a', 's'], '1', 'a', unchanged),
  ],
  ['what is not sent', 0, omitsStory, update(fullUsers, ['1', 'a', 's'], '1', 'a', 't')],
  ['what is sent', 1, omitsStory, update(fullUsers, ['1', 'a', 's'], '1', 'b', 's')],
  ['a value to null', 1, entity('user', 'users'), update(fullUsers, ['1', 'a', 's'], '1', null, 's')],
  [
    'nothing, where that is wanted',
    1,
    { ...omitsStory, sendsUnchanged: true },
    update(fullUsers, ['1', 'a', 's'], '1', 'a', 's'),
  ],
  [
    'nothing that can be told, without the row before',
    1,
    entity('user', 'users'),
    update(users, null, '1', 'a', 's'),
  ],
  // An index as identity gives its own columns only: null says nothing of the others.
  [
    'a value to null, with only an index before',
    1,
    omitsStory,
    update({ ...users, identity: 'index' }, ['1', null, 's'], '1', null, 't'),
  ],
])('an update that changes %s is %d events', async (_what, count, mapping, change) => {
  const { texts } = await openMapper({ mapping: [mapping] }).map([change])
  expect(texts).toHaveLength(count)
})

test('an update of an unsent column is an event if a generated column may show it', async () => {
  const table = tableOf(users)
  const full = { name: 'full', typeOid: 25, typeName: 'text', isGenerated: true }
  const at = openMapper({
    mapping: [omitsStory],
    tables: [{ ...table, columns: [...table.columns, full] }],
    present: { users: { columns: { id: 'integer', full: 'text' }, rows: [['1', 'a t']] } },
  })
  const { texts } = await at.map([
    update(fullUsers, ['1', 'a', 's'], '1', 'a', 't'),
    update(fullUsers, ['2', 'a', 's'], '2', 'a', 's'),
  ])
  expect(texts).toEqual([expect.stringMatching(/"result":\{"id":1,"name":"a","full":"a t"\}\}$/)])
})

test('a renamed table stays mapped by its OID; another table of that name is mapped by name', async () => {
  const { texts } = await openMapper().map([
    insert({ ...users, name: 'people' }, '1', 'a', null),
    insert({ ...users, name: 'people', oid: 77 }, '2', 'a', null),
    insert({ ...users, oid: 78 }, '3', 'a', null),
  ])
  expect(texts.map(text => /"entity_id":(\d)/.exec(text)![1])).toEqual(['1', '3'])
})

test('a renamed key is recognised as the only identity column; with several, the row is parked', async () => {
  const renamed = relation('users', { uid: 'integer' })
  const { texts } = await openMapper().map([insert(renamed, '1')])
  expect(texts).toEqual([expect.stringMatching(/"entity_id":1,/)])
  const columns = [...renamed.columns, { name: 'tenant', typeOid: 23, inKey: true }]
  const { parked } = await openMapper({ tables: [] }).map([insert({ ...renamed, columns }, '1', '2')])
  expect(parked).toMatchObject([{ reason: 'a row of "public"."users" without its key id' }])
})

test('a truncated table is reported by name, without an event', async () => {
  const { texts, truncated } = await openMapper().map([{ kind: 'truncate', relations: [users, links] }])
  expect(texts).toEqual([])
  expect(truncated).toEqual(['"public"."users"', '"public"."user_companies"'])
})

test('one table can be several entities', async () => {
  const { texts } = await openMapper({ mapping: [entity('user', 'users'), entity('member', 'users')] }).map([
    remove(users, '1', null, null),
  ])
  expect(texts.map(text => /"entity_type":"(\w+)"/.exec(text)![1])).toEqual(['user', 'member'])
})
