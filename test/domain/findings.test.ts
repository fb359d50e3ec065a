import { expect, test } from 'vitest'
import { findings, findingsOf, muchHeldBackBytes } from '../../src/domain/shown/findings.ts'

const well: Parameters<typeof findingsOf>[0] = {
  captureState: 'streaming',
  isSourceThere: true,
  heldBackBytes: muchHeldBackBytes,
  hasOpenGap: false,
  isResyncing: false,
  isMappingLost: false,
  hasFailedBackfill: false,
  deliveriesWaiting: 9_999,
  deliveriesDead: 0,
  lastHour: { requests: 1_000, failed: 500 },
}

test.each<[string, Partial<typeof well>, ReturnType<typeof findingsOf>]>([
  ['all is well', {}, []],
  ['another process captures', { captureState: 'standing by' }, []],
  ['this process has no such role', { captureState: 'not a role of this process' }, []],
  ['capture starts', { captureState: 'starting' }, ['capture_starting']],
  ['capture is behind', { captureState: 'lagging' }, ['capture_lagging']],
  ['something must be mended', { captureState: 'blocked' }, ['capture_blocked']],
  ['changes are lost, and a gap is open', { captureState: 'lost', hasOpenGap: true }, ['capture_lost']],
  ['a gap was not told anew', { hasOpenGap: true }, ['gap']],
  ['a gap is being told anew', { hasOpenGap: true, isResyncing: true }, ['resyncing']],
  ['the source has dropped what is mapped', { isMappingLost: true }, ['mapping_lost']],
  ['a backfill has failed', { hasFailedBackfill: true }, ['backfill_failed']],
  ['the source says nothing', { isSourceThere: false, heldBackBytes: null }, ['no_source']],
  ['much WAL is kept', { heldBackBytes: muchHeldBackBytes + 1 }, ['much_held_back']],
  ['many wait', { deliveriesWaiting: 10_000 }, ['long_queue']],
  ['some were given up', { deliveriesDead: 1 }, ['dead']],
  ['most failed', { lastHour: { requests: 20, failed: 11 } }, ['many_failures']],
  ['most of a few failed', { lastHour: { requests: 19, failed: 19 } }, []],
  [
    'everything is wrong',
    { captureState: 'blocked', isSourceThere: false, deliveriesDead: 1, deliveriesWaiting: 20_000 },
    ['capture_blocked', 'no_source', 'long_queue', 'dead'],
  ],
])('where %s', (_what, change, expected) => {
  expect(findingsOf({ ...well, ...change })).toEqual(expected)
})

test('findings are ordered by severity', () => {
  const order = Object.values(findings).map(level => ['bad', 'warn', 'note'].indexOf(level))
  expect(order).toEqual(order.toSorted())
})
