import { expect, test } from 'vitest'
import { matches, webhookTag } from '../../src/api/kit/etag.ts'

test.each<[string | undefined, boolean]>([
  [undefined, true],
  ['*', true],
  [' * ', true],
  ['"7"', true],
  ['"6", "7"', true],
  ['"6","7"', true],
  ['"8"', false],
  ['W/"7"', false],
  ['"6", W/"7"', false],
  ['7', false],
  ['', false],
  ['"7', false],
  ['"77"', false],
])('If-Match %j: %j', (header, expected) => {
  expect(matches(header, '"7"')).toBe(expected)
})

test('the entity tag changes when walhook disables the webhook', () => {
  expect(webhookTag({ version: 3, disabledAt: null })).toBe('"3"')
  expect(webhookTag({ version: 3, disabledAt: new Date() })).toBe('"3-disabled"')
})
