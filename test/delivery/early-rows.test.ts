import { expect, test } from 'vitest'
import { isBeforeStream } from '../../src/delivery/early-rows.ts'

const entity = { entityType: 'user', entityId: '7' }
const skips = [{ entity, afterId: 100n, upTo: 200n }]

test.each([
  ['its stream is not as far as it might have been sent', { eventId: 200n }, 99n, true],
  ['its stream is', { eventId: 200n }, 100n, false],
  ['it was not pulled out of the log', { eventId: 90n }, 50n, false],
  ['it is newer than what was pulled', { eventId: 201n }, 50n, false],
  ['it is another entity', { eventId: 200n, entityId: '8' }, 50n, false],
])('a row that was asked for by hand waits for its stream: %s', (_what, row, readUpTo, waits) => {
  expect(isBeforeStream(skips, { ...entity, ...row }, readUpTo)).toBe(waits)
  expect(isBeforeStream([{ entity: null, afterId: 100n, upTo: 200n }], { ...entity, ...row }, readUpTo)).toBe(
    false,
  )
})
