import { expect, test } from 'vitest'
import type { Generated, Table } from '../../src/capture/verdict/catalogue.ts'
import { withoutPrevious } from '../../src/capture/verdict/rows-before.ts'
import type { EntityMapping } from '../../src/domain/mapping/mapping.ts'

const name = { schema: 'public', name: 'users' }
const mapping = [{ entityType: 'user', table: name }] as EntityMapping[]

function untold(table: {
  identity: string
  generated?: Generated
  leaves?: { name: typeof name; identity: string }[]
}) {
  const found = { name, generated: 'nothing', leaves: [], ...table } as unknown as Table
  return [...withoutPrevious({ tables: new Map([['"public"."users"', found]]) }, mapping)]
}

test('a table has previous values if it and each partition have REPLICA IDENTITY FULL', () => {
  const leaf = (identity: string) => ({ name: { schema: 'public', name: 'users_1' }, identity })
  expect(untold({ identity: 'f', leaves: [leaf('f')] })).toEqual([])
  expect(untold({ identity: 'f', leaves: [leaf('d')] })).toEqual([
    ['user', 'alter table "public"."users_1" replica identity full;'],
  ])
  expect(untold({ identity: 'd' })).toEqual([['user', 'alter table "public"."users" replica identity full;']])
})

test.each(['stored', 'virtual'] as const)(
  'for a table with %s generated columns, no suggested statement breaks its UPDATEs',
  generated => {
    expect(untold({ identity: 'd', generated })).toEqual([['user', null]])
  },
)
