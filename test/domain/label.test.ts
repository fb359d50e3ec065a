import { expect, test } from 'vitest'
import { keepsValues, labelOf } from '../../src/domain/event/label.ts'

const body = (values: object, of = 'result') =>
  JSON.stringify({ entity_id: 7, entity_type: 'user', action_type: 'new', [of]: values })

test.each<[string[], string, string | null]>([
  [['first', 'last'], body({ first: 'Anna', last: 'de Vries' }), 'Anna de Vries'],
  [['last', 'first'], body({ first: 'Anna', last: 'de Vries' }), 'de Vries Anna'],
  [['first', 'last'], body({ first: null, last: 'de Vries' }), 'de Vries'],
  [['first', 'gone'], body({ first: 'Anna' }), 'Anna'],
  [['first'], body({ first: '' }), null],
  [['first'], body({ first: ' a\n\t b\u0000\u202e ' }), 'a b'],
  [['number'], body({}).replace('{}', '{"number":12345678901234567890.50}'), '12345678901234567890.50'],
  [['flag', 'list', 'one'], body({ flag: true, list: ['a'], one: { a: 'b' } }), null],
  [['first'], body({ other: { first: 'not this' }, first: 'Bo' }), 'Bo'],
  [['__proto__', 'constructor'], body({ first: 'Anna' }), null],
  // The values before a delete are in `last`.
  [['first'], body({ first: 'Anna' }, 'last'), 'Anna'],
  [['first'], '{"entity_id":7,"entity_type":"user","action_type":"delete"}', null],
  [['entity_type'], body({}), null],
  [['first'], '', null],
  [['first'], body({ first: 'x'.repeat(200) }), `${'x'.repeat(120)}…`],
  [['first'], body({ first: 'Anna', rest: 'x'.repeat(70_000) }), null],
])('the label of %j in %.60s is %j', (fields, body, label) => {
  expect(labelOf(fields, body)).toBe(label)
})

test('a label needs a request that contained the values', () => {
  expect(keepsValues('update', 'update')).toBe(true)
  expect(keepsValues('update', 'new')).toBe(true)
  expect(keepsValues('delete', 'delete')).toBe(true)
  expect(keepsValues('update', 'delete')).toBe(false)
})
