import { expect, test } from 'vitest'
import { counter } from '../../src/admin/texts/counter.ts'
import { en } from '../../src/admin/texts/en.ts'
import { bytes, duration, milliseconds, number } from '../../src/admin/texts/figures.ts'
import { nl } from '../../src/admin/texts/nl.ts'

test('numbers and sizes follow the language', () => {
  expect(number(en, 12_345)).toBe('12,345')
  expect(number(nl, 12_345)).toBe('12.345')
  expect(
    [0, 64, 1_023, 1_024, 5 * 1024 ** 2, 1.5 * 1024 ** 3, 4 * 1024 ** 5].map(size => bytes(en, size)),
  ).toEqual(['0 B', '64 B', '1,023 B', '1 kB', '5 MB', '1.5 GB', '4,096 TB'])
})

test.each([
  [0.04, '0.0 ms', '0,0 ms'],
  [7.6, '7.6 ms', '7,6 ms'],
  [340.4, '340 ms', '340 ms'],
  [1_250, '1.3 s', '1,3 s'],
  [15_000, '15.0 s', '15,0 s'],
])('%d ms is %s, in Dutch %s', (ms, english, dutch) => {
  expect([milliseconds(en, ms), milliseconds(nl, ms)]).toEqual([english, dutch])
})

test('a duration has its two largest units', () => {
  expect([duration(en, 187_000_000), duration(nl, 187_000_000), duration(en, 1)]).toEqual([
    '2 d 3 h',
    '2 d 3 u',
    '1 min',
  ])
})

test('a count has the plural and digits of its language', () => {
  expect([en.logIn.slow(1), en.logIn.slow(2)].map(text => /\d+ \w+/.exec(text)?.[0])).toEqual([
    '1 second',
    '2 seconds',
  ])
  expect([nl.logIn.slow(1), nl.logIn.slow(2)].map(text => /\d+ \w+/.exec(text)?.[0])).toEqual([
    '1 seconde',
    '2 seconden',
  ])
  const files = counter('pl', { one: '# plik', few: '# pliki', many: '# plików', other: '# pliku' })
  expect([1, 2, 5].map(files)).toEqual(['1 plik', '2 pliki', '5 plików'])
  expect(counter('nl', { one: '#', other: '#' })(12_345)).toBe('12.345')
})
