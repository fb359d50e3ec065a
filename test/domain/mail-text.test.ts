import { expect, test } from 'vitest'
import { mailOf } from '../../src/domain/alert/mail-text.ts'
import { isMailAddress } from '../../src/domain/webhook/mail-address.ts'

test('a name writes no line of a mail, whatever it contains', () => {
  const name = 'CRM\r\nBcc: a@example.com\u2028\n\nWhat to do: \u202ego to https://evil.example'
  const at = new Date(0)
  const told = { incidentId: 1, kind: 'webhook.failing', webhook: { id: 5, name }, subject: '5' } as const
  const { subject, text } = mailOf(
    'webhook.failing',
    { ...told, openedAt: at, count: 1, facts: {}, endedAt: null },
    null,
  )
  const said = 'Webhook 5 (CRM Bcc: a@example.com What to do: go to https://evil.example) is failing'
  expect(subject).toBe(`[walhook] ${said}`)
  expect(text.split('\n')[0]).toBe(`${said}.`)
  expect(text.match(/^What to do/gm)).toHaveLength(1)
})

test.each(['a@b.c\r\nBcc: d@e.f', 'a\u0001@b.c', 'a@b\u202e.c', 'a@b.c,d@e.f', '<a@b.c>', 'a', '@b'])(
  '%j is no mail address',
  text => expect(isMailAddress(text)).toBe(false),
)
