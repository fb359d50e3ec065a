import { expect, test } from 'vitest'
import { nameIn } from '../../src/domain/input/name.ts'

test.each([
  ['a zero-width space', '\u200b'],
  ['a joiner and a mark of direction', '\u200d \u202e'],
  ['a filler of Hangul', '\u3164'],
  ['a pattern of Braille without dots', '\u2800'],
  ['a soft hyphen', '\u00ad'],
  ['a selector of a variant', '\ufe0f'],
  ['a tag', '\u{e0041}'],
  ['line breaks', '\r\n\u2028'],
  ['nothing', ''],
])('%s is no name', (_what, text) => {
  expect(nameIn(text)).toBe('')
})

test.each(['CRM', '❤️', '👩‍🚀', '\u0628\u200c\u0627', '0', '-', 'a\u0301'])('%j is a name, as it is', text => {
  expect(nameIn(` ${text}\n`)).toBe(text)
})
