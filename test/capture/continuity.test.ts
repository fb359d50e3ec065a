import { expect, test } from 'vitest'
import { type ContinuityFacts, checkContinuity } from '../../src/capture/continuity/continuity.ts'

const facts: ContinuityFacts = {
  slotName: 'walhook',
  publicationName: 'walhook',
  stored: { systemIdentifier: '1', commitLsn: 100n, confirmedLsn: 120n },
  systemIdentifier: '1',
  walEnd: 200n,
  forkLsn: null,
  slot: { confirmedLsn: 110n, isInvalidated: false },
  hasPublication: true,
}

test.each<[string, Partial<ContinuityFacts>]>([
  ['as it was left', {}],
  ['a slot that was taken back by a crash', { slot: { confirmedLsn: 1n, isInvalidated: false } }],
  ['a slot as far as it was ever confirmed', { slot: { confirmedLsn: 120n, isInvalidated: false } }],
  ['a failover that brought everything along', { forkLsn: 115n }],
  ['a position whose confirmation was not noted', { stored: { ...facts.stored, confirmedLsn: null } }],
])('%s continues', (_what, change) => {
  expect(checkContinuity({ ...facts, ...change })).toBeNull()
})

test.each<[string, Partial<ContinuityFacts>]>([
  ['slot missing', { slot: null }],
  ['slot invalidated', { slot: { confirmedLsn: 0n, isInvalidated: true } }],
  ['slot moved', { slot: { confirmedLsn: 121n, isInvalidated: false } }],
  ['publication missing', { hasPublication: false }],
  ['other cluster', { systemIdentifier: '2', slot: null }],
  ['other history', { walEnd: 99n }],
  ['other history', { forkLsn: 100n }],
  ['other history', { forkLsn: 'unrelated' }],
  ['slot moved', { forkLsn: 105n }],
])('%s is a gap, with its reason', (reason, change) => {
  const gap = checkContinuity({ ...facts, ...change })
  expect(gap).toEqual({ reason, detail: expect.stringMatching(/.{20}/) })
})
