import { expect, test } from 'vitest'
import { planShares, type ShareOf } from '../../src/domain/delivery/share-plan.ts'

const all = Array.from({ length: 12 }, (_, share) => share)
/** Shares by their holders, `-` for nobody: '1111--222222'. */
const sharesOf = (text: string): ShareOf[] =>
  [...text].map((letter, share) => ({ share, holderId: letter === '-' ? null : Number.parseInt(letter, 36) }))

test.each<[string, { me: number; holders: number[]; shares: string; claim: number; release: number[] }]>([
  ['alone, all are free', { me: 1, holders: [1], shares: '------------', claim: 12, release: [] }],
  ['alone, all are its own', { me: 1, holders: [1], shares: '111111111111', claim: 0, release: [] }],
  ['the first of two', { me: 1, holders: [2, 1], shares: '------------', claim: 6, release: [] }],
  ['one more has come', { me: 1, holders: [1, 2], shares: '111111111111', claim: 0, release: all.slice(6) }],
  [
    'the new one finds nothing yet',
    { me: 2, holders: [1, 2], shares: '111111111111', claim: 0, release: [] },
  ],
  [
    'the new one claims what is free',
    { me: 2, holders: [1, 2], shares: '111111------', claim: 6, release: [] },
  ],
  ['one of three is gone', { me: 3, holders: [1, 3], shares: '1111----3333', claim: 2, release: [] }],
  [
    'five: the first two serve one more',
    { me: 2, holders: [1, 2, 3, 4, 5], shares: '------------', claim: 3, release: [] },
  ],
  [
    'five: the others do not',
    { me: 3, holders: [1, 2, 3, 4, 5], shares: '------------', claim: 2, release: [] },
  ],
  [
    'what a dead one holds is not free',
    { me: 1, holders: [1], shares: '111111222222', claim: 0, release: [] },
  ],
  ['it does not hear of itself yet', { me: 9, holders: [1], shares: '111111------', claim: 6, release: [] }],
])('%s', (_, { claim, release, shares, ...input }) => {
  expect(planShares({ ...input, shares: sharesOf(shares) })).toEqual({ claim, release })
})

test('with more holders than shares, the newest holders serve nothing', () => {
  const holders = Array.from({ length: 13 }, (_, i) => i + 1)
  const shares = sharesOf('------------')
  expect(planShares({ me: 12, holders, shares }).claim).toBe(1)
  expect(planShares({ me: 13, holders, shares }).claim).toBe(0)
})

test('after any arrivals and departures of holders, all shares are served evenly', () => {
  for (let seed = 1; seed <= 50; seed++) {
    let state = seed
    const random = (n: number) => {
      state = (state * 48271) % 2147483647
      return state % n
    }
    const holders = Array.from({ length: 1 + random(14) }, (_, i) => i + 1)
    let shares: ShareOf[] = all.map(share => ({
      share,
      holderId: random(2) ? null : holders[random(holders.length)]!,
    }))
    for (let round = 0; round < 3; round++)
      for (const me of holders) {
        const plan = planShares({ me, holders, shares })
        let left = plan.claim
        shares = shares.map(({ share, holderId }) =>
          plan.release.includes(share)
            ? { share, holderId: null }
            : holderId === null && left-- > 0
              ? { share, holderId: me }
              : { share, holderId },
        )
      }
    const counts = holders.map(id => shares.filter(({ holderId }) => holderId === id).length)
    expect(
      counts.reduce((sum, count) => sum + count, 0),
      `seed ${seed}`,
    ).toBe(12)
    expect(Math.max(...counts) - Math.min(...counts), `seed ${seed}`).toBeLessThanOrEqual(1)
  }
})
