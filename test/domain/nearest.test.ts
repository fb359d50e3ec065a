import { expect, test } from 'vitest'
import { nearest } from '../../src/domain/value/nearest.ts'

const names = ['id', 'name_first', 'name_last', 'company_role', 'Email']

test.each([
  ['name_frist', 'name_first'],
  ['di', 'id'],
  ['namefirst', 'name_first'],
  ['company_roles', 'company_role'],
  ['email', 'Email'],
  ['ID', 'id'],
  ['telephone', null],
  ['x', null],
  ['', null],
])('the nearest name to %j is %j', (wanted, expected) => {
  expect(nearest(wanted, names)).toBe(expected)
})

test('an empty list has no nearest name', () => {
  expect(nearest('id', [])).toBeNull()
})

test('a name of a megabyte has no nearest name', () => {
  expect(nearest('e'.repeat(1_000_000), names)).toBeNull()
})
