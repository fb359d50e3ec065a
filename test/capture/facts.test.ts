import { expect, test } from 'vitest'
import { type Change, type Relation, unchanged } from '../../src/domain/capture/change.ts'
import type { EntityMapping } from '../../src/domain/mapping/mapping.ts'
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

const linkedUser = entity('user', 'users', [linked])
const fullLinks: Relation = { ...links, identity: 'full' }
const present = {
  users: { columns: { id: 'integer', name: 'text', story: 'text' }, rows: [['1', 'now', 'now']] },
} as never

async function facts(changes: Change[], mapping: readonly EntityMapping[] = [linkedUser]) {
  const { events } = await openMapper({ mapping, present }).map(changes)
  return events.map(({ actionType, facts }) => ({ actionType, ...facts }))
}
const known = (previous: string | null, changed: string[] | null) => ({
  actionType: 'update',
  previous,
  changed,
  omitted: null,
})

test('a complete row before an update shows the changed fields and their previous values', async () => {
  const change = update(fullUsers, ['1', 'a', null], '1', 'b', 's')
  expect(await facts([change])).toEqual([known('{"name":"a","story":null}', ['name', 'story'])])
})

test('without the row before nothing is known; a new or deleted entity has no changed fields', async () => {
  const nothing = { previous: null, changed: null, omitted: null }
  expect(
    await facts([
      update(users, null, '1', 'b', 's'),
      insert(users, '2', 'a', 's'),
      remove(fullUsers, '3', 'a', 's'),
    ]),
  ).toEqual([
    { actionType: 'update', ...nothing },
    { actionType: 'new', ...nothing },
    { actionType: 'delete', ...nothing },
  ])
})

test('several updates in one transaction are compared from first to last', async () => {
  expect(
    await facts([
      update(fullUsers, ['1', 'a', 's'], '1', 'b', 's'),
      update(fullUsers, ['1', 'b', 's'], '1', 'c', 't'),
      update(fullUsers, ['1', 'c', 't'], '1', 'd', 's'),
    ]),
  ).toEqual([known('{"name":"a"}', ['name'])])
})

test('a change that is reverted in its transaction is not an event', async () => {
  expect(
    await facts([
      update(fullUsers, ['1', 'a', 's'], '1', 'b', 's'),
      update(fullUsers, ['1', 'b', 's'], '1', 'a', unchanged),
    ]),
  ).toEqual([])
})

test('a row deleted and inserted again is compared with its earlier values', async () => {
  expect(await facts([remove(fullUsers, '1', 'a', 's'), insert(users, '1', 'b', 's')])).toEqual([
    known('{"name":"a"}', ['name']),
  ])
})

test('a row whose first update shows nothing is not compared with a later one', async () => {
  expect(
    await facts([update(users, null, '1', 'b', 's'), update(fullUsers, ['1', 'b', 's'], '1', 'c', 's')]),
  ).toEqual([known(null, null)])
})

test('a related row marks its field as changed; nothing is known of the list before', async () => {
  expect(await facts([insert(links, '1', 'c')])).toEqual([known(null, ['companies'])])
  expect(await facts([insert(links, '1', 'c'), update(fullUsers, ['1', 'a', 's'], '1', 'b', 's')])).toEqual([
    known('{"name":"a"}', ['name', 'companies']),
  ])
  expect(await facts([update(fullUsers, ['1', 'a', 's'], '1', 'a', 's'), remove(links, '1', 'c')])).toEqual([
    known(null, ['companies']),
  ])
  expect(await facts([update(users, null, '1', 'a', 's'), remove(links, '1', 'c')])).toEqual([
    known(null, null),
  ])
})

test('a related row with unchanged shown values updates no owner, unless the mapping asks for it', async () => {
  const wide: Relation = {
    ...relation('user_companies', { user_id: 'integer', company_id: 'text', seen: 'boolean' }, 3),
    identity: 'full',
  }
  const same = update(wide, ['1', 'c', 'f'], '1', 'c', 't')
  expect(await facts([same])).toEqual([])
  expect(await facts([same], [{ ...linkedUser, sendsUnchanged: true }])).toEqual([known(null, ['companies'])])
  expect(await facts([update(fullLinks, ['1', 'c'], '1', 'd')])).toEqual([known(null, ['companies'])])
  expect(await facts([update(links, null, '1', 'c')])).toEqual([known(null, ['companies'])])
})

test('an owner that is inserted after its related row is new', async () => {
  const [first] = await facts([insert(links, '1', 'c'), insert(users, '1', 'a', 's')])
  expect(first?.actionType).toBe('new')
})

test('a replica identity larger than the key has the previous values of its columns only', async () => {
  const two = {
    ...users,
    columns: users.columns.map((column, i) => ({ ...column, inKey: i < 2 })),
  }
  const mapping = [entity('user', 'users')]
  expect(await facts([update(two, ['1', 'a', null], '1', 'b', 't')], mapping)).toEqual([
    known('{"name":"a"}', null),
  ])
  expect(await facts([update(two, null, '1', 'b', 't')], mapping)).toEqual([known(null, null)])
  expect(
    await facts([update(two, null, '1', 'a', 't'), update(two, ['1', 'a', null], '1', 'b', 'u')], mapping),
  ).toEqual([known('{"name":"a"}', null)])
})

test('an update without changes that is sent anyway has no changed fields', async () => {
  const mapping = [{ ...entity('user', 'users'), sendsUnchanged: true }]
  expect(await facts([update(fullUsers, ['1', 'a', 's'], '1', 'a', 's')], mapping)).toEqual([known('{}', [])])
})

test("changed fields have the mapping's names, and unsent fields are not named", async () => {
  const fields = { include: null, omit: ['story'], rename: { name: 'full "name"' } }
  expect(
    await facts([update(fullUsers, ['1', 'a', 's'], '1', 'b', 't')], [{ ...linkedUser, fields }]),
  ).toEqual([known('{"full \\"name\\"":"a"}', ['full "name"'])])
})

test('a generated column counts as changed with any column of its row', async () => {
  const full = { name: 'full', typeOid: 25, typeName: 'text', isGenerated: true }
  const table = tableOf(users)
  const at = openMapper({
    mapping: [{ ...entity('user', 'users'), fields: { include: null, omit: ['story'], rename: {} } }],
    tables: [{ ...table, columns: [...table.columns, full] }],
    present: { users: { columns: { id: 'integer', full: 'text' }, rows: [['1', 'a t']] } },
  })
  const { events } = await at.map([update(fullUsers, ['1', 'a', 's'], '1', 'a', 't')])
  expect(events[0]?.facts).toEqual({ previous: null, changed: ['full'], omitted: null })
})

test('an earlier row with other columns is unknown', async () => {
  const after = {
    ...relation('users', { id: 'integer', nick: 'text', name: 'text' }),
    identity: 'full' as const,
  }
  const { events } = await openMapper({ mapping: [entity('user', 'users')] }).map([
    update(fullUsers, ['1', 'a', 's'], '1', 'b', 's'),
    update(after, ['1', 's', 'x'], '1', 'b', 'y'),
  ])
  expect(events[0]?.facts).toEqual({ previous: null, changed: null, omitted: null })
})

test('a field that is omitted because its row is gone is named', async () => {
  const { events } = await openMapper().map([update(users, null, '1', 'a', unchanged)])
  expect(events[0]?.body).toMatch(/"result":\{"id":1,"name":"a"\}\}$/)
  expect(events[0]?.facts?.omitted).toEqual(['story'])
})

test('the row before is not used if a partition has another replica identity than its table', async () => {
  const leaf = {
    name: { schema: 'public', name: 'users_1' },
    identity: 'd',
    hasIdentity: true,
    generatedInIdentity: 'nothing' as const,
    isLogged: true,
  }
  const at = openMapper({
    mapping: [entity('user', 'users')],
    tables: [{ ...tableOf(users), kind: 'p', identity: 'f', leaves: [leaf] }],
  })
  const { events } = await at.map([update(fullUsers, ['1', null, null], '1', 'b', 's')])
  expect(events.map(({ facts }) => facts)).toEqual([{ previous: null, changed: null, omitted: null }])
})

test('a difference that the format hides is not a change, and previous values are formatted too', async () => {
  const columns = { id: 'integer', seen: 'timestamp', name: 'text' } as const
  const seen = { ...relation('users', columns), identity: 'full' as const }
  const fields = { include: null, omit: [], rename: {}, format: { seen: 'date' as const } }
  const mapping = [{ ...entity('user', 'users'), fields }]
  const morning = '2019-11-05 07:56:15'
  const hidden = update(seen, ['1', morning, 'a'], '1', '2019-11-05 23:59:59.5', 'a')
  expect(await facts([hidden], mapping)).toEqual([])
  expect(await facts([update(seen, ['1', morning, 'a'], '1', '2019-11-06 00:00:00', 'a')], mapping)).toEqual([
    known('{"seen":"2019-11-05"}', ['seen']),
  ])
})
