import { expect, test } from 'vitest'
import { readYaml } from '../../src/domain/input/yaml.ts'

test('anchors, aliases and merges are resolved, also an anchor that is used twice', () => {
  const text = 'a: &x { n: 1 }\nb: { <<: *x, m: 2 }\nc: &y [*x]\nd: &x [*y]\ne: *x'
  expect(readYaml(text)).toMatchObject({
    ok: true,
    content: { a: { n: 1 }, b: { n: 1, m: 2 }, c: [{ n: 1 }], d: [[{ n: 1 }]], e: [[{ n: 1 }]] },
  })
})

/** Lists inside of one another, in a mapping. */
const levels = (count: number) => `a: ${'['.repeat(count - 1)}${']'.repeat(count - 1)}`
const endless = (name: string) =>
  `*${name} repeats &${name}, which it is a part of, and so never ends: write out what you mean`

test.each([
  ['a mistake of form', 'a:\n  b: [', [expect.stringMatching(/^line 2, column 7: /)]],
  ['an alias of its own list', 'a: &all\n  - *all', [`line 2, column 5: ${endless('all')}`]],
  ['a merge of its own mapping', 'a: &m { <<: *m }', [`line 1, column 13: ${endless('m')}`]],
  [
    'two, one of them far outside',
    'a: &out\n  b: &in { c: *in }\n  d: { e: [*out] }',
    [`line 2, column 15: ${endless('in')}`, `line 3, column 12: ${endless('out')}`],
  ],
  [
    'aliases that multiply',
    Array.from({ length: 12 }, (_, i) => `a${i}: &a${i} [${i === 0 ? 'x' : `*a${i - 1}, `.repeat(9)}]`).join(
      '\n',
    ),
    ['its aliases repeat one another too often: write some of them out'],
  ],
  [
    'a name that objects lose',
    'a: { b: [{ __proto__: 1 }] }',
    ['a.b.0.__proto__: nothing can have this name: change it'],
  ],
  [
    'a hundred and one levels',
    levels(102),
    [expect.stringMatching(/^a\.0\.0: it has more than 100 levels, /)],
  ],
  ['ten thousand levels', levels(10_000), [expect.stringMatching(/it has more than 100 levels, /)]],
])('%s is a problem with its fix', (_what, text, problems) => {
  expect(readYaml(text)).toEqual({ ok: false, problems })
})

test('a hundred levels are read', () => {
  expect(readYaml(levels(101)).ok).toBe(true)
})
