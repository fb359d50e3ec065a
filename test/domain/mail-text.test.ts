import { expect, test } from 'vitest'
import type { AlertedIncident } from '../../src/domain/alert/alert-body.ts'
import { mailOf } from '../../src/domain/alert/mail-text.ts'
import { isMailAddress } from '../../src/domain/webhook/mail-address.ts'

test('a name writes no line of a mail, whatever it contains', () => {
  const name = 'CRM\r\nBcc: a@example.com\u2028\n\nFix: \u202ego to https://evil.example'
  const at = new Date(0)
  const incident = { incidentId: 1, kind: 'webhook.failing', webhook: { id: 5, name }, subject: '5' } as const
  const alert = 'webhook.failing'
  const one = { alert, incident: { ...incident, openedAt: at, count: 1, facts: {}, endedAt: null } } as const
  const { subject, text } = mailOf({ counts: new Map([[alert, 1]]), alerts: [one] }, null)
  const said = 'Webhook 5 (CRM Bcc: a@example.com Fix: go to https://evil.example) is failing'
  expect(subject).toBe(`[walhook] ${said}`)
  expect(text.split('\n')[0]).toBe(`${said}.`)
  expect(text.match(/^Fix: /gm)).toHaveLength(1)
})

test.each(['a@b.c\r\nBcc: d@e.f', 'a\u0001@b.c', 'a@b\u202e.c', 'a@b.c,d@e.f', '<a@b.c>', 'a', '@b'])(
  '%j is no mail address',
  text => expect(isMailAddress(text)).toBe(false),
)

test('many alerts are one mail, with the first of them and the number of the rest', () => {
  const incident = (id: number): AlertedIncident => ({
    ...{ incidentId: id, webhook: { id, name: `hook ${id}` }, subject: String(id) },
    ...{ kind: 'webhook.failing', openedAt: new Date(0), count: 1, facts: {}, endedAt: null },
  })
  const { subject, text } = mailOf(
    {
      counts: new Map([
        ['webhook.failing', 312],
        ['webhook.recovered', 1],
      ]),
      alerts: [1, 2].map(id => ({ alert: 'webhook.failing' as const, incident: incident(id) })),
    },
    'https://walhook.example.com',
  )
  expect(subject).toBe('[walhook] 312 webhooks failing, 1 webhook recovered')
  expect(text).toContain('- Webhook 2 (hook 2) is failing, since 1970-01-01T00:00:00.000Z\n- and 311 more\n')
  expect(text).toContain('https://walhook.example.com/couplings\n')
})
