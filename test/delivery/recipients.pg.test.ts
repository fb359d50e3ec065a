import { expect, test } from 'vitest'
import { recipientsOf } from '../../src/control/webhooks/recipients.ts'
import { createAlerts } from '../../src/delivery/alerts/alerts.ts'
import { parseSealKey } from '../../src/domain/webhook/seal.ts'
import { endIncidents, noteIncidents } from '../../src/outbox/records/incidents.ts'
import { noteAddresses, takeToAsk } from '../../src/outbox/records/mail-addresses.ts'
import { silentLog } from '../../src/runtime/log.ts'
import { adminToken } from '../support/open-api.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { openTestPages, ours } from '../support/open-pages.ts'
import { startSmtpServer } from '../support/smtp-server.ts'
import { until } from '../support/wait.ts'

const sealKey = parseSealKey(Buffer.alloc(32, 1).toString('base64'))!
const publicUrl = 'https://walhook.example.com'

async function open() {
  const at = await openTestPages({ hasTenants: true })
  const smtp = await startSmtpServer()
  const ending = new AbortController()
  const services = createAlerts({
    ...{ outbox: at.outbox, main: at.outbox, sealKey, trustedDomains: ['trusted.example'], publicUrl },
    ...{ mail: { smtpUrl: smtp.url, from: 'walhook@example.com' }, toCapture: [], log: silentLog },
  })
  const running = Promise.all(services.map(service => service.run(ending.signal)))
  const token = await at.token('admin', { name: 'theirs', userId: '7', tenant: 'acme' })
  const make = async (alertTo: readonly string[], as: string = token) =>
    (
      await at.call(
        'POST',
        '/api/webhooks',
        { name: 'CRM <b>', url: 'https://crm.example.com/', triggers: ['user.new'], alert_to: alertTo },
        as,
      )
    ).json.id as number
  const mails = () =>
    smtp.mails.map(({ to, raw }) => ({
      to: to[0]!,
      subject: /^Subject: (.*)$/m.exec(raw)![1]!,
      text: raw.replaceAll('=\n', '').replaceAll('=3D', '='),
    }))
  return {
    ...at,
    ...{ token, make, mails },
    cookie: await at.cookieFor(token),
    mailed: (count: number) =>
      until(() => smtp.mails.length >= count, { what: `${count} mails` }).then(mails),
    fail: (of: number) => noteIncidents(at.outbox.pool, [{ kind: 'webhook.failing', of }]),
    told: () =>
      until(async () => (await at.count('incidents', 'told_at is null')) === 0, { what: 'all to be told' }),
    async [Symbol.asyncDispose]() {
      ending.abort()
      await running
      await smtp[Symbol.asyncDispose]()
      await at[Symbol.asyncDispose]()
    },
  }
}
const linkIn = (text: string) => /https:\/\/walhook\.example\.com(\/recipients\/\S+)/.exec(text)![1]!

test('an address of a tenant hears nothing before its owner confirms, and nothing after it stops', async () => {
  await using at = await open()
  const id = await at.make(['Ops@example.com'])
  const [asking] = await at.mailed(1)
  expect(asking).toMatchObject({
    to: 'ops@example.com',
    subject: '[walhook] Confirm this address for alerts',
  })
  expect(asking!.text).not.toMatch(/CRM|acme|crm\.example/)
  const states = async () =>
    (await at.call('GET', `/api/webhooks/${id}/recipients`, undefined, at.token)).json.data
  expect(await states()).toMatchObject([
    { address: 'Ops@example.com', state: 'pending', asked_at: expect.any(String) },
  ])

  await at.fail(id)
  await at.told()
  await until(async () => (await at.count('alert_mails')) === 0, { what: 'the alert to be dropped' })
  expect(at.mails()).toHaveLength(1)

  // A program that looks at the link decides nothing.
  const link = linkIn(asking!.text)
  const page = await at.send(link, {})
  expect(page).toMatchObject({ status: 200, text: expect.stringContaining('Send me alerts') })
  expect(await states()).toMatchObject([{ state: 'pending' }])
  const decide = async (path: string, mails: boolean) => {
    const { pathname, searchParams } = new URL(path, publicUrl)
    const body = new URLSearchParams({ key: searchParams.get('key')!, mails: String(mails) }).toString()
    const headers = { 'content-type': 'application/x-www-form-urlencoded', ...ours }
    return await at.send(pathname, { method: 'POST', headers, body })
  }
  expect(
    (
      await decide(
        link.replace(/.$/, one => (one === 'A' ? 'Q' : 'A')),
        true,
      )
    ).status,
  ).toBe(404)
  expect((await decide(link.replace('/recipients/1', '/recipients/2'), true)).status).toBe(404)
  expect(await states()).toMatchObject([{ state: 'pending' }])
  expect((await decide(link, true)).text).toContain('sends alerts about webhooks to ops@example.com')
  expect(await states()).toMatchObject([{ state: 'confirmed' }])

  await endIncidents(at.outbox.pool, [id], ['webhook.failing'], { alertsEnd: true })
  const [, alert] = await at.mailed(2)
  expect(alert!.subject).toContain('has recovered')
  expect((await decide(linkIn(alert!.text), false)).text).toContain('does not ask again')
  expect(await states()).toMatchObject([{ state: 'stopped' }])
  expect(
    await at.call('POST', `/api/webhooks/${id}/recipients`, { address: 'ops@example.com' }, at.token),
  ).toMatchObject({
    status: 409,
    json: { code: 'recipient.stopped' },
  })
  // Another webhook of the tenant changes nothing of that.
  const other = await at.make(['ops@example.com'])
  await at.fail(other)
  await at.told()
  await until(async () => (await at.count('alert_mails', 'sent_at is null')) === 0, {
    what: 'the alert to be dropped',
  })
  expect(at.mails()).toHaveLength(2)
})

test('the operator’s own webhooks and domains need no confirmation', async () => {
  await using at = await open()
  const own = await at.make(['chef@example.com'], adminToken)
  const theirs = await at.make(['ops@Trusted.example'])
  for (const id of [own, theirs]) await at.fail(id)
  const mails = await at.mailed(2)
  expect(mails.map(({ to }) => to).sort()).toEqual(['chef@example.com', 'ops@trusted.example'])
  for (const { subject, text } of mails) {
    expect(subject).toContain('is failing')
    expect(text).not.toContain('/recipients/')
  }
})

test('the page says in both languages who is pending, and asks again after ten minutes only', async () => {
  await using at = await open()
  const id = await at.make(['ops@example.com'])
  await at.mailed(1)
  const look = async (language: string) =>
    (await at.send(`/couplings/${id}`, { headers: { cookie: `${at.cookie}; walhook_language=${language}` } }))
      .text
  expect(await look('en')).toContain('These addresses get no alerts yet')
  expect(await look('nl')).toContain('Deze adressen krijgen nog geen waarschuwingen')
  const again = async () =>
    await at.send(`/couplings/${id}/recipients`, {
      method: 'POST',
      headers: { cookie: at.cookie, 'content-type': 'application/x-www-form-urlencoded', ...ours },
      body: 'address=ops%40example.com',
    })
  await until(async () => (await at.count('mail_addresses', 'ask_at is null')) === 1, {
    what: 'the note that it is asked',
  })
  expect((await again()).text).toContain('less than 10 minutes ago')
  await at.outbox.pool.query(`update walhook.mail_addresses set asked_at = asked_at - interval '11 minutes'`)
  expect(await again()).toMatchObject({ status: 303 })
  await at.mailed(2)
})

test('a tenant asks fifty addresses a day, and one address is asked five times a day by all', async () => {
  await using at = await openTestOutbox()
  await noteAddresses(
    at.outbox,
    Array.from({ length: 80 }, (_, i) => ({ tenant: 'acme', address: `stranger-${i}@example.com` })),
  )
  await noteAddresses(
    at.outbox,
    Array.from({ length: 9 }, (_, i) => ({ tenant: `tenant ${i}`, address: 'victim@example.com' })),
  )
  const asked = []
  for (let taken = await takeToAsk(at.outbox, 1); taken.length > 0; taken = await takeToAsk(at.outbox, 1))
    asked.push(...taken)
  expect(asked.filter(({ tenant }) => tenant === 'acme')).toHaveLength(50)
  expect(asked.filter(({ address }) => address === 'victim@example.com')).toHaveLength(5)
  // What is over is not looked at again and again.
  const { rows } = await at.outbox.pool.query('select from walhook.mail_addresses where ask_at <= now()')
  expect(rows).toHaveLength(0)
})

test('a webhook without recipients, and one of nobody, cost no question', async () => {
  const cells = { main: { outbox: null } } as never
  expect(await recipientsOf({ cells, trustedDomains: [] }, { tenant: 'acme', alertTo: [] })).toEqual([])
  expect(
    await recipientsOf({ cells, trustedDomains: [] }, { tenant: null, alertTo: ['a@b.c'] }),
  ).toMatchObject([{ state: 'confirmed' }])
})
