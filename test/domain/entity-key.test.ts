import fc from 'fast-check'
import { expect, test } from 'vitest'
import { idAt, joinKey, keyLists, splitKey } from '../../src/domain/mapping/entity-key.ts'

test.each([
  [['7', '12'], '7,12'],
  [['a,b', 'c'], 'a%2Cb,c'],
  [['a', 'b,c'], 'a,b%2Cc'],
  [['100%', '%2C'], '100%25,%252C'],
  [['', ''], ','],
  [['only, one %'], 'only, one %'],
])('%j is the id %s', (parts, id) => {
  expect(joinKey(parts)).toBe(id)
  expect(splitKey(id, parts.length)).toEqual(parts)
})

test.each(['1', '1,2,3', '%2c,1', '1,%', '%41,1'])('%s is not an id of a two-column key', id => {
  expect(splitKey(id, 2)).toBe(null)
})

const text = fc.string({ unit: fc.constantFrom(',', '%', '2', 'C', '5', 'a', ' ', '/', '\n', 'é') })

test('different keys have different ids, and each id can be parsed back', () => {
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), fc.array(text, { minLength: 1 }), (a, b) => {
      expect(splitKey(joinKey(a), a.length)).toEqual(a)
      if (a.length === b.length && joinKey(a) === joinKey(b)) expect(a).toEqual(b)
    }),
  )
})

test('an id of another form finds no row, and a row with an incomplete key has no id', () => {
  expect(keyLists(['1,2', '3', '4,5,6', 'x%2Cy,7'], ['a', 'b'])).toEqual([
    ['1', 'x,y'],
    ['2', '7'],
  ])
  expect(idAt(['1', null], [0, 1])).toBe(null)
  expect(idAt(['1', '2'], [])).toBe(null)
  expect(idAt(null, [0])).toBe(null)
  expect(idAt(['1', 'b,c'], [1, 0])).toBe('b%2Cc,1')
})
