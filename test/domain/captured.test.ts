import { expect, test } from 'vitest'
import {
  type Captured,
  type CapturedTable,
  compareCaptured,
  compareSource,
} from '../../src/domain/capture/captured.ts'

const users: CapturedTable = { oid: 1, isLogged: true, publishedBy: ['table 10 5'], parts: {} }
const orders: CapturedTable = {
  oid: 2,
  isLogged: true,
  publishedBy: ['table 11 5', 'schema 12 5 4'],
  parts: { 20: '20 4', 21: '21 4' },
}
const before: Captured = {
  systemIdentifier: '7',
  databaseOid: 5,
  databaseName: 'app',
  timeline: 1,
  publication: {
    oid: 3,
    version: '5',
    owner: 10,
    options: { pubinsert: true, pubviaroot: true, pubgencols: 's' },
  },
  tables: { users, orders },
}
const options = { mapped: ['users', 'orders'], isSound: true, seenLsn: 100n, seenXid: '7' }

function compare(now: Partial<Captured>, change: Partial<typeof options> = {}, was = before) {
  return compareCaptured(was, { ...before, ...now }, { ...options, ...change })
}
const lossesOf = (...args: Parameters<typeof compare>) =>
  compare(...args).losses.map(({ table, reason }) => `${table}: ${reason}`)
const publication = (change: object) => ({ publication: { ...before.publication!, ...change } })

test.each<[string, Partial<Captured>]>([
  ['as it was', {}],
  [
    'a table that is published by its schema still',
    { tables: { users, orders: { ...orders, publishedBy: ['schema 12 5 4'] } } },
  ],
  ['a new partition', { tables: { users, orders: { ...orders, parts: { ...orders.parts, 22: '22 9' } } } }],
  ['a partition that is dropped', { tables: { users, orders: { ...orders, parts: { 20: '20 4' } } } }],
  ['a publication with another owner', publication({ version: '9', owner: 11 })],
  [
    'generated columns, published or not',
    publication({ version: '9', options: { pubinsert: true, pubviaroot: true, pubgencols: 'n' } }),
  ],
  ['a database with another name', { databaseName: 'renamed' }],
  ['another timeline', { timeline: 2 }],
  ['a table that is not to be seen for now', { tables: { users } }],
])('%s loses nothing', (_what, now) => {
  expect(lossesOf(now)).toEqual([])
  expect(compareSource(before, { ...before, ...now }, 'walhook')).toBeNull()
})

test.each<[string, Partial<Captured>, string[]]>([
  [
    'left and returned',
    { tables: { users: { ...users, publishedBy: ['table 13 9'] }, orders } },
    ['users: table unpublished'],
  ],
  ['left', { tables: { users: { ...users, publishedBy: [] }, orders } }, ['users: table unpublished']],
  [
    'moved to another schema and back',
    { tables: { users, orders: { ...orders, publishedBy: ['schema 12 5 9'] } } },
    ['orders: table unpublished'],
  ],
  ['dropped and made anew', { tables: { users: { ...users, oid: 4 }, orders } }, ['users: table replaced']],
  ['unlogged', { tables: { users: { ...users, isLogged: false }, orders } }, ['users: table unlogged']],
  [
    'a partition detached and attached',
    { tables: { users, orders: { ...orders, parts: { 20: '20 4', 21: '21 9' } } } },
    ['orders: partition detached'],
  ],
  [
    'other options and back',
    publication({ version: '9' }),
    ['users: publication changed', 'orders: publication changed'],
  ],
  [
    'via root, for good',
    publication({ version: '9', options: { pubinsert: true, pubviaroot: false, pubgencols: 's' } }),
    ['orders: publication changed'],
  ],
])('%s is a gap in the affected tables', (_what, now, losses) => {
  expect(lossesOf(now)).toEqual(losses)
})

test('a gap begins at the last position where the table was captured, and ends when it is captured again', () => {
  const gone = compare({ tables: { users: { ...users, publishedBy: [] }, orders } }, { isSound: false })
  expect(gone.losses).toMatchObject([{ table: 'users', isOver: false, fromLsn: 100n }])
  const tables = { users: { ...users, publishedBy: ['table 13 9'] }, orders }
  const back = compare({ tables }, { seenLsn: 300n }, gone.next)
  expect(back.losses).toMatchObject([{ table: 'users', isOver: true, fromLsn: 100n }])
  expect(compare({ tables }, {}, back.next).losses).toEqual([])
})

test('a missing partition is remembered until it returns', () => {
  const away = compare({ tables: { users, orders: { ...orders, parts: { 20: '20 4' } } } })
  expect(
    lossesOf({ tables: { users, orders: { ...orders, parts: { 20: '20 4', 21: '21 9' } } } }, {}, away.next),
  ).toEqual(['orders: partition detached'])
})

test('a new partition is reported once, a returning one is a gap, and a gap covers both', () => {
  const came = { tables: { users, orders: { ...orders, parts: { ...orders.parts, 22: '22 9' } } } }
  const found = compare(came)
  expect(found.arrivals).toEqual([{ table: 'orders', oid: 22, fromLsn: 100n }])
  expect(compare(came, {}, found.next).arrivals).toEqual([])
  expect(compare(came, { isSound: false }).arrivals).toEqual([])
  const both = compare({ tables: { users, orders: { ...orders, parts: { 20: '20 9', 22: '22 9' } } } })
  expect(both).toMatchObject({ arrivals: [], losses: [{ reason: 'partition detached' }] })
})

test('a table that returns to the mapping has a gap; a new one has none', () => {
  const left = compare({ tables: { orders } }, { mapped: ['orders'] })
  expect(left.losses).toEqual([])
  expect(
    lossesOf(
      { tables: { users, orders, teams: { ...users, oid: 9 } } },
      { mapped: ['users', 'orders', 'teams'] },
      left.next,
    ),
  ).toEqual(['users: table unmapped'])
})

test.each<[string, Partial<Captured>]>([
  ['other cluster', { systemIdentifier: '8' }],
  ['other database', { databaseOid: 6 }],
  ['publication missing', { publication: null }],
  ['publication remade', publication({ oid: 4 })],
])('%s is a loss of everything', (reason, now) => {
  expect(compareSource(before, { ...before, ...now }, 'walhook')).toEqual({
    reason,
    detail: expect.stringMatching(/.{20}/),
  })
})
