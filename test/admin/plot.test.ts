import { expect, test } from 'vitest'
import { niceAbove, trafficPlot } from '../../src/admin/kit/plot.ts'
import { en } from '../../src/admin/texts/en.ts'
import { nl } from '../../src/admin/texts/nl.ts'

test.each([
  [0, 1],
  [1, 1],
  [1.2, 2],
  [3.5, 4],
  [7, 8],
  [10, 10],
  [11, 20],
  [4_999, 5_000],
])('the axis for %d ends at %d', (value, top) => {
  expect(niceAbove(value)).toBe(top)
})

const traffic = (buckets: { delivered: number; failed: number }[], share = 1) => ({
  fromMs: 0,
  bucketMs: 120_000,
  buckets,
  share,
})
/** Of each bar where it begins at the left, where it stands, and how high it is. */
const bars = (plot: unknown, kind: 'good' | 'bad') => {
  const [, path] = new RegExp(`<path class="${kind}" d="([^"]*)"`).exec(String(plot))!
  return [...path!.matchAll(/M([\d.]+) ([\d.]+)v-([\d.]+)h[\d.]+v\3z/g)].map(
    ([, x, bottom, high]) => `${x} ${bottom} ${high}`,
  )
}

test('bars show requests per minute, with failed ones on top, however few', () => {
  const plot = trafficPlot(
    en,
    'Title',
    traffic([
      { delivered: 20, failed: 0 },
      { delivered: 0, failed: 0 },
      { delivered: 10, failed: 10 },
      { delivered: 0, failed: 1 },
    ]),
    2,
  )
  // Ten a minute is all of the 120 that there are.
  expect(bars(plot, 'good')).toEqual(['15 120 120', '315 120 60'])
  expect(bars(plot, 'bad')).toEqual(['315 60 60', '465 120 6'])
  const few = trafficPlot(en, 'Title', traffic([{ delivered: 1_000_000, failed: 1 }]), 1)
  expect(bars(few, 'bad')[0]).toMatch(/ 3$/)
})

test("the plot's data is also in its label and in a table", () => {
  const plot = String(
    trafficPlot(
      nl,
      'Titel',
      traffic([
        { delivered: 1_200, failed: 0 },
        { delivered: 1, failed: 2 },
      ]),
      1,
    ),
  )
  expect(plot).toContain('aria-label="Titel: 1.201 afgeleverd, 2 mislukt."')
  expect(plot).toContain('<td class="number">1.201</td><td class="number">2</td>')
  expect(plot).not.toContain(nl.health.sampled)
  expect(String(trafficPlot(nl, 'Titel', traffic([], 0.1), 1))).toContain(nl.health.sampled)
})
