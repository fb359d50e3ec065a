import { expect, test } from 'vitest'
import type { AlertedIncident } from '../../src/domain/alert/alert-body.ts'
import { mailOf } from '../../src/domain/alert/mail-text.ts'
import { alertTriggers } from '../../src/domain/event/alert.ts'
import { isMailAddress } from '../../src/domain/webhook/mail-address.ts'

test('no name can add a line to a mail', () => {
  const name = 'CRM\r\nBcc: a@example.com\u2028\n\nFix: \u202ego to https://evil.example'
  const at = new Date(0)
  const incident = { incidentId: 1, kind: 'webhook.failing', webhook: { id: 5, name }, subject: '5' } as const
  const alert = 'webhook.failing'
  const one = { alert, incident: { ...incident, openedAt: at, count: 1, facts: {}, endedAt: null } } as const
  const { subject, text } = mailOf(
    { counts: new Map([[alert, 1]]), alerts: [one] },
    { language: 'en', publicUrl: null },
  )
  const said = 'Webhook 5 (CRM Bcc: a@example.com Fix: go to https://evil.example) is failing'
  expect(subject).toBe(`[walhook] ${said}`)
  expect(text.split('\n')[0]).toBe(`${said}.`)
  expect(text.match(/^Fix: /gm)).toHaveLength(1)
})

test.each(['a@b.c\r\nBcc: d@e.f', 'a\u0001@b.c', 'a@b\u202e.c', 'a@b.c,d@e.f', '<a@b.c>', 'a', '@b'])(
  '%j is not a mail address',
  text => expect(isMailAddress(text)).toBe(false),
)

test('many alerts make one mail, with the first ones and the number of the rest', () => {
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
    { language: 'en', publicUrl: 'https://walhook.example.com' },
  )
  expect(subject).toBe('[walhook] 312 webhooks failing, 1 webhook recovered')
  expect(text).toContain(
    '- Webhook 2 (hook 2) is failing, since 1 January 1970 at 00:00:00 UTC\n- and 311 more\n',
  )
  expect(text).toContain('https://walhook.example.com/couplings\n')
})

test.each(alertTriggers)('the mail about %s has a Dutch version, and the fix', alert => {
  const incident: AlertedIncident = {
    ...{ incidentId: 7, kind: alert === 'webhook.recovered' ? 'webhook.failing' : alert },
    ...{ webhook: alert.startsWith('capture.') ? null : { id: 5, name: 'CRM' }, subject: 'slot_7' },
    ...{
      openedAt: new Date(0),
      count: 3,
      facts: { code: 'capture.cannot_store' },
      endedAt: new Date(60_000),
    },
  }
  const mail = (language: 'en' | 'nl', count = 1) =>
    mailOf(
      { counts: new Map([[alert, count]]), alerts: [{ alert, incident }] },
      { language, publicUrl: 'https://walhook.example.com', stopPath: '/recipients/1?key=k' },
    )
  for (const count of [1, 2]) {
    const [en, nl] = [mail('en', count), mail('nl', count)]
    expect(nl.subject).not.toBe(en.subject)
    // Each line is another one, but links.
    const lines = new Set(en.text.split('\n'))
    const same = nl.text.split('\n').filter(line => line !== '' && lines.has(line))
    expect(same).toEqual([expect.stringMatching(/^https:\S+$/)])
    expect(nl.text.split('\n')).toHaveLength(en.text.split('\n').length)
    expect(nl.text).toContain('1 januari 1970 om 00:00:00 UTC')
    expect(nl.text).toContain('/recipients/1?key=k')
  }
  const hasFix = alert !== 'webhook.recovered'
  expect(mail('nl').text.includes('Wat je doet: ')).toBe(hasFix)
})
