import { expect, test } from 'vitest'
import { messageId, writeBody } from '../../src/domain/event/event.ts'
import { triggersFor } from '../../src/domain/event/trigger.ts'
import { formatLsn, parseLsn } from '../../src/domain/value/lsn.ts'
import { firstIdAt, nextId, timeOf } from '../../src/domain/value/time-id.ts'

test.each([
  ['0/0', 0n],
  ['0/1', 1n],
  ['16/B374D848', 0x16_b374_d848n],
  ['FFFFFFFF/FFFFFFFF', 2n ** 64n - 1n],
])('the LSN %s is parsed as %d', (text, lsn) => {
  expect(parseLsn(text)).toBe(lsn)
  expect(formatLsn(lsn)).toBe(text)
})

test('an LSN is parsed with leading zeros and in lower case', () => {
  expect(parseLsn('00000016/0b374d84')).toBe(parseLsn('16/B374D84'))
})

test.each(['', '16', '16/', '/16', '16/G', '1/2/3', ' 1/2', '123456789/0', '0/123456789', '-1/0'])(
  '%j is not an LSN',
  text => {
    expect(() => parseLsn(text)).toThrow(RangeError)
  },
)

test('an id contains its time and strictly increases, even while the clock stops or goes back', () => {
  const first = nextId(0n, 1_700_000_000_000)
  expect(first).toBe(firstIdAt(1_700_000_000_000))
  expect(timeOf(first)).toBe(1_700_000_000_000)
  expect(timeOf(first + 2n ** 20n - 1n)).toBe(1_700_000_000_000)
  expect(timeOf(first + 2n ** 20n)).toBe(1_700_000_000_001)
  expect(nextId(first, 1_700_000_000_000)).toBe(first + 1n)
  expect(nextId(first, 1_600_000_000_000)).toBe(first + 1n)
  expect(nextId(first, 1_700_000_000_001)).toBe(firstIdAt(1_700_000_000_001))
  expect(firstIdAt(Date.UTC(2240, 0, 1))).toBeLessThan(2n ** 63n)
})

test('a body has its fields in the documented order, and no `result` on delete', () => {
  const parts = { entityIdJson: '9007199254740993', entityType: 'user', actionType: 'new' as const }
  expect(writeBody({ ...parts, resultJson: '{"id":1.10}' })).toBe(
    '{"entity_id":9007199254740993,"entity_type":"user","action_type":"new","result":{"id":1.10}}',
  )
  expect(writeBody({ ...parts, entityIdJson: '"a"', actionType: 'delete', resultJson: null })).toBe(
    '{"entity_id":"a","entity_type":"user","action_type":"delete"}',
  )
})

test('a body equals the documented example without white space and needless escapes', () => {
  const result = String.raw`{"id":1,"name_infix":null,"secure_qr_code":"https:\/\/evins.nl\/1\/tyiu%2E","custom_fields":[],"companies":[5]}`
  const body = writeBody({
    entityIdJson: '1',
    entityType: 'user',
    actionType: 'new',
    resultJson: JSON.stringify(JSON.parse(result)),
  })
  expect(body).toBe(
    JSON.stringify(
      JSON.parse(
        `{    "entity_id": 1,    "entity_type": "user",    "action_type": "new",    "result": ${result}}`,
      ),
    ),
  )
})

test('a test has the form of a delivery, and an entity type is quoted', () => {
  const parts = { entityIdJson: '7', entityType: 'a"b', actionType: 'test' as const, resultJson: '{}' }
  expect(writeBody(parts)).toBe('{"entity_id":7,"entity_type":"a\\"b","action_type":"test","result":{}}')
})

test('a message id is unique per event and webhook, and has no dot', () => {
  expect(messageId(3, 17n)).toBe('msg_3_17')
  expect(new Set([messageId(1, 11n), messageId(11, 1n), messageId(1, 1n)]).size).toBe(3)
  expect(messageId(2_147_483_647, 2n ** 63n - 1n)).not.toContain('.')
})

test('the triggers of a mapping are all pairs of entity and action', () => {
  expect(triggersFor(['user', 'order'])).toEqual([
    'user.new',
    'user.update',
    'user.delete',
    'order.new',
    'order.update',
    'order.delete',
  ])
})
