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
])('the name %s is refused', (_what, text) => {
  expect(nameIn(text)).toBe('')
})

test.each(['CRM', '❤️', '👩‍🚀', '\u0628\u200c\u0627', '0', '-', 'a\u0301'])(
  'the name %j is kept unchanged',
  text => {
    expect(nameIn(` ${text}\n`)).toBe(text)
  },
)
