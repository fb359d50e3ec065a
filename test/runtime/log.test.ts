import { expect, test } from 'vitest'
import { describeError } from '../../src/runtime/log.ts'

const withCode = (message: string, code: unknown) => Object.assign(new Error(message), { code })

test.each<[unknown, string]>([
  [new Error('no link'), 'no link'],
  [withCode('no link', '55006'), 'no link (55006)'],
  [withCode('', 'ECONNREFUSED'), '(ECONNREFUSED)'],
  [withCode('lost (ECONNRESET)', 'ECONNRESET'), 'lost (ECONNRESET)'],
  [withCode('odd', 7), 'odd'],
  ['a text', 'a text'],
  [undefined, 'undefined'],
  [
    new AggregateError([withCode('to ::1', 'ECONNREFUSED'), withCode('to 127.0.0.1', 'ECONNREFUSED')]),
    'to ::1 (ECONNREFUSED); to 127.0.0.1 (ECONNREFUSED)',
  ],
  [new AggregateError([new Error('same'), new Error('same')]), 'same'],
  [new AggregateError([], 'none of them'), 'none of them'],
])('%o is described as %j', (error, text) => {
  expect(describeError(error)).toBe(text)
})
