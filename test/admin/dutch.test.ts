import { expect, test } from 'vitest'
import { en } from '../../src/admin/texts/en.ts'
import { reasonsNl } from '../../src/admin/texts/nl/reasons.ts'
import { nl } from '../../src/admin/texts/nl.ts'
import { reasonText } from '../../src/admin/texts/texts.ts'
import { because, type ReasonTexts } from '../../src/domain/shown/reason.ts'
import { reasonTexts } from '../../src/domain/shown/reason-texts.ts'

/** Words that Dutch has as well, or that both languages borrow. */
const shared = new Set(
  'DNS TLS URL UTC Log Token Tokens Account Health Status Timeline Webhook Filter webhook-id Test webhook operator admin token min d test Triggers Trigger'.split(
    ' ',
  ),
)

function sentences(texts: object, path = ''): [string, string][] {
  return Object.entries(texts).flatMap(([key, value]): [string, string][] =>
    typeof value === 'string'
      ? [[`${path}${key}`, value]]
      : typeof value === 'object'
        ? sentences(value, `${path}${key}.`)
        : [],
  )
}

test('every Dutch text differs from the English one', () => {
  const english = new Map(sentences(en))
  const same = sentences(nl).filter(([path, text]) => text.includes(' ') && english.get(path) === text)
  expect(same.filter(([, text]) => !shared.has(text))).toEqual([])
})

test('every reason has its own Dutch sentence', () => {
  expect(Object.keys(reasonsNl).sort()).toEqual(Object.keys(reasonTexts).sort())
  const facts = new Proxy({}, { get: (_, name) => (name === 'known' || name === 'fields' ? ['x'] : 'x') })
  const write = (texts: ReasonTexts) =>
    Object.values(texts).map(text => (text as (...args: unknown[]) => string)(facts, () => 'x'))
  const english = new Set(write(reasonTexts))
  expect(write(reasonsNl).filter(text => english.has(text))).toEqual([])
})

test('a nested reason is Dutch too, and a sentence begins with a capital', () => {
  const inner = because('address.special', { address: '10.0.0.1', kind: 'private', range: '10.0.0.0/8' })
  const outer = because('address.resolved', { host: 'intern.example', because: inner })
  expect(reasonText(nl, outer)).toBe(
    'Intern.example verwijst naar een adres dat niet is toegestaan: 10.0.0.1 is een privéadres (10.0.0.0/8); webhooks mogen daar niet heen. Voeg 10.0.0.1 toe aan WALHOOK_ALLOW_TARGETS om het toe te staan.',
  )
  expect(reasonText(en, because('url.scheme'))).toBe('The URL must begin with https://')
})
