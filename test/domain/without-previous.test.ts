import { expect, test } from 'vitest'
import type { Trigger } from '../../src/domain/event/trigger.ts'
import { previousWarnings } from '../../src/domain/mapping/without-previous.ts'

const webhook = {
  triggers: ['user.update', 'user.new'] as Trigger[],
  previous: true,
  updateFields: ['user.email'],
}
const sql = 'alter table "public"."users" replica identity full;'
const warn = (change: object, mend: string | null = sql, entityType = 'user') =>
  previousWarnings({ ...webhook, ...change }, new Map([[entityType, mend]]))

test('requested previous values that the table lacks are a warning, with the statement that fixes it', () => {
  expect(warn({})).toEqual([
    {
      pointer: '/previous',
      detail: `Sent without: the table of user does not record the values before an update. To have them, an administrator of the database runs: ${sql}`,
    },
    {
      pointer: '/update_fields',
      detail: `Every update of user is sent, whatever it changes: the table of user does not record the values before an update. To have them, an administrator of the database runs: ${sql}`,
    },
  ])
})

test('where a statement alone would break the application, the warning names walhook check', () => {
  for (const { detail } of warn({}, null)) {
    expect(detail).toContain('walhook check')
    expect(detail).not.toContain('alter table')
  }
})

test.each<[string, object, string[]]>([
  ['no update is sent', { triggers: ['user.new'] }, []],
  ['nothing before is asked for', { previous: false, updateFields: null }, []],
  ['fields of another entity', { previous: false, updateFields: ['company.name', 'users.x'] }, []],
  ['only fields', { previous: false }, ['/update_fields']],
  ['only previous', { updateFields: null }, ['/previous']],
])('%s', (_, change, pointers) => {
  expect(warn(change).map(({ pointer }) => pointer)).toEqual(pointers)
})

test('an entity without requested previous values causes no warning', () => {
  expect(warn({}, sql, 'company')).toEqual([])
})
