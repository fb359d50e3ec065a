import { expect, test } from 'vitest'
import { recipientsOf } from '../../src/control/webhooks/recipients.ts'
import { createAlerts } from '../../src/delivery/alerts/alerts.ts'
import { parseSealKey } from '../../src/domain/webhook/seal.ts'
import { transaction } from '../../src/outbox/database/database.ts'
import { endIncidents, noteIncidents } from '../../src/outbox/records/incidents.ts'
import { askAgain, noteAddresses, settleAsk, takeToAsk } from '../../src/outbox/records/mail-addresses.ts'
import { silentLog } from '../../src/runtime/log.ts'
import { adminToken } from '../support/open-api.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { openTestPages, ours } from '../support/open-pages.ts'
import { startSmtpServer } from '../support/smtp-server.ts'
import { until } from '../support/wait.ts'

const sealKey = parseSealKey(Buffer.alloc(32, 1).toString('base64'))!
const publicUrl = 'https://walhook.example.com'

async function open({
  refuses = () => false,
  url = publicUrl,
}: {
  refuses?: () => boolean
  url?: string | null
} = {}) {
  const at = await openTestPages({ hasTenants: true })
  const smtp = await startSmtpServer(() => (refuses() ? { code: 550, text: 'no such user' } : null))
  const ending = new AbortController()
  const services = createAlerts({
    ...{
      outbox: at.outbox,
      main: at.outbox,
      sealKey,
      trustedDomains: ['trusted.example'],
      publicUrl: url,
      language: 'en',
    },
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
    ...{ token, make, mails, smtp },
    recipients: async (id: number) =>
      (await at.call('GET', `/api/webhooks/${id}/recipients`, undefined, token)).json.data,
    ask: async (id: number, address: string) =>
      await at.call('POST', `/api/webhooks/${id}/recipients`, { address }, token),
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

test("a tenant's address gets no mail before its owner confirms, and none after it unsubscribes", async () => {
  await using at = await open()
  const id = await at.make(['Ops@example.com'])
  const [asking] = await at.mailed(1)
  expect(asking).toMatchObject({
    to: 'ops@example.com',
    subject: '[walhook] Confirm this address for alerts',
  })
  expect(asking!.text).not.toMatch(/CRM|acme|crm\.example/)
  const states = () => at.recipients(id)
  await until(async () => (await states())[0].state === 'asked', { what: 'the note that it is asked' })
  expect(await states()).toEqual([
    {
      ...{ address: 'Ops@example.com', state: 'asked', asked_at: expect.any(String) },
      ...{ waits_for: null, reason: null, next_at: null },
    },
  ])

  await at.fail(id)
  await at.told()
  await until(async () => (await at.count('alert_mails')) === 0, { what: 'the alert to be dropped' })
  expect(at.mails()).toHaveLength(1)

  // A program that looks at the link decides nothing.
  const link = linkIn(asking!.text)
  const page = await at.send(link, {})
  expect(page).toMatchObject({ status: 200, text: expect.stringContaining('Send me alerts') })
  expect(await states()).toMatchObject([{ state: 'asked' }])
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
  expect(await states()).toMatchObject([{ state: 'asked' }])
  expect((await decide(link, true)).text).toContain('sends alerts about webhooks to ops@example.com')
  expect(await states()).toMatchObject([{ state: 'confirmed' }])

  await endIncidents(at.outbox.pool, [id], ['webhook.failing'], { alertsEnd: true })
  const [, alert] = await at.mailed(2)
  expect(alert!.subject).toContain('has recovered')
  expect((await decide(linkIn(alert!.text), false)).text).toContain('does not ask again')
  expect(await states()).toMatchObject([{ state: 'stopped' }])
  expect(await at.ask(id, 'ops@example.com')).toMatchObject({
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

test('mails are in the language of the admin, then in the one in which the owner confirms', async () => {
  await using at = await open()
  await at.send('/couplings/new', {
    method: 'POST',
    headers: {
      cookie: `${at.cookie}; walhook_language=nl`,
      'content-type': 'application/x-www-form-urlencoded',
      ...ours,
    },
    body: new URLSearchParams({
      ...{ key: 'k', name: 'CRM', url: 'https://crm.example.com/', trigger: 'user.new', is_active: 'true' },
      ...{ alert_to: 'ops@example.com' },
    }).toString(),
  })
  const [asking] = await at.mailed(1)
  expect(asking!.subject).toBe('[walhook] Bevestig dit adres voor waarschuwingen')
  const { pathname, searchParams } = new URL(linkIn(asking!.text), publicUrl)
  const headers = {
    ...{ cookie: 'walhook_language=en', 'content-type': 'application/x-www-form-urlencoded' },
    ...ours,
  }
  const body = new URLSearchParams({ key: searchParams.get('key')!, mails: 'true' }).toString()
  await at.send(pathname, { method: 'POST', headers, body })
  const { rows } = await at.outbox.pool.query('select max(id) as id from walhook.webhooks')
  await at.fail(rows[0].id)
  const [, alert] = await at.mailed(2)
  expect(alert!.subject).toContain('(CRM) is failing')
  expect(alert!.text).toContain('open Couplings from your application instead')
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

test('the page shows unconfirmed addresses in both languages, and asks again only after ten minutes', async () => {
  await using at = await open()
  const id = await at.make(['ops@example.com'])
  await at.mailed(1)
  const look = async (language: string) =>
    (await at.send(`/couplings/${id}`, { headers: { cookie: `${at.cookie}; walhook_language=${language}` } }))
      .text
  await until(async () => (await at.count('mail_addresses', 'ask_at is null')) === 1, {
    what: 'the note that it is asked',
  })
  expect(await look('en')).toContain('The owner confirms by the link in the email')
  expect(await look('nl')).toContain('De eigenaar bevestigt met de link in de e-mail')
  const again = async () =>
    await at.send(`/couplings/${id}/recipients`, {
      method: 'POST',
      headers: { cookie: at.cookie, 'content-type': 'application/x-www-form-urlencoded', ...ours },
      body: 'address=ops%40example.com',
    })
  expect((await again()).text).toContain('less than 10 minutes ago')
  expect(await at.count('audit', `action = 'recipient.asked'`)).toBe(0)
  await at.outbox.pool.query(earlier)
  expect(await again()).toMatchObject({ status: 303 })
  await at.mailed(2)
  // Mail programs hide a second mail with the same id.
  expect(new Set(at.smtp.mails.map(({ messageId }) => messageId)).size).toBe(2)
  const { data } = (await at.call('GET', '/api/audit', undefined, at.token)).json
  expect(data[0]).toMatchObject({
    ...{ action: 'recipient.asked', actor: { name: 'theirs' }, webhook_id: id },
    changes: { address: { to: '…@example.com' } },
  })
})

const earlier = `update walhook.mail_addresses set asked_at = asked_at - interval '11 minutes', taken_at = taken_at - interval '11 minutes'`

test('a refused confirmation mail is shown with its reason, and does not count towards the daily limit', async () => {
  let isRefusing = true
  await using at = await open({ refuses: () => isRefusing })
  const id = await at.make(['ops@example.com'])
  await until(async () => (await at.recipients(id))[0].state === 'failed', { what: 'the failure' })
  expect(await at.recipients(id)).toMatchObject([
    { state: 'failed', reason: 'EMESSAGE, answer 550', asked_at: null, next_at: expect.any(String) },
  ])
  const page = await at.send(`/couplings/${id}`, { headers: { cookie: at.cookie } })
  expect(page.text).toContain('did not accept the email that asks the owner (EMESSAGE, answer 550)')
  expect(await at.count('mail_addresses', 'cardinality(sent_at) > 0')).toBe(0)
  isRefusing = false
  await at.outbox.pool.query(`update walhook.mail_addresses set taken_at = taken_at - interval '3 minutes'`)
  expect(await at.ask(id, 'ops@example.com')).toMatchObject({ status: 204 })
  await until(async () => (await at.recipients(id))[0].state === 'asked', { what: 'the mail' })
  expect(await at.recipients(id)).toMatchObject([
    { reason: null, next_at: null, asked_at: expect.any(String) },
  ])
})

test('an address that cannot be asked names the missing setting', async () => {
  await using at = await open({ url: null })
  const id = await at.make(['ops@example.com'])
  await until(async () => (await at.recipients(id))[0].waits_for !== null, { what: 'the reason' })
  expect(await at.recipients(id)).toMatchObject([
    { state: 'asking', waits_for: 'public_url', asked_at: null },
  ])
  expect(await at.ask(id, 'ops@example.com')).toMatchObject({
    status: 409,
    json: { code: 'recipient.public_url', detail: expect.stringContaining('WALHOOK_URL') },
  })
  const page = await at.get('/health')
  expect(page.text).toContain('Addresses that wait for the public URL of walhook: 1.')
})

test('without mail settings, the form, the API response and Health show a warning', async () => {
  await using at = await openTestPages({ mailProblems: 'smtp_server' })
  const form = await at.get('/couplings/new')
  expect(form.text).toContain('walhook sends no emails now')
  expect((await at.get('/health')).text).not.toContain('but walhook sends no emails')
  const made = await at.call('POST', '/api/webhooks', {
    ...{
      name: 'CRM',
      url: 'https://crm.example.com/',
      triggers: ['user.new'],
      alert_to: ['ops@example.com'],
    },
  })
  expect(made.json.warnings).toEqual([
    { pointer: '/alert_to', detail: expect.stringContaining('must set WALHOOK_SMTP_URL') },
  ])
  expect((await at.get('/health')).text).toContain('but walhook sends no emails')
})

test('an address waits for a process with a mail server', async () => {
  await using at = await openTestPages({ hasTenants: true })
  await noteAddresses(at.outbox, [{ tenant: 'acme', address: 'ops@example.com' }])
  const state = async (mailProblems: 'smtp_server' | null) =>
    (await recipientsOf({ ...at.control, mailProblems }, { tenant: 'acme', alertTo: ['ops@example.com'] }))[0]
  expect(await state(null)).toMatchObject({ state: 'asking', waitsFor: null })
  // A process that would send it knows at once.
  expect(await state('smtp_server')).toMatchObject({ state: 'asking', waitsFor: 'smtp_server' })
  await at.outbox.pool.query(`update walhook.mail_addresses set ask_at = now() - interval '3 minutes'`)
  expect(await state(null)).toMatchObject({ state: 'asking', waitsFor: 'smtp_server' })
})

test('at most fifty addresses are asked per tenant and day, and one address five times a day', async () => {
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
  // What is over is not looked at again and again, and says what it waits for.
  const { rows } = await at.outbox.pool.query('select from walhook.mail_addresses where ask_at <= now()')
  expect(rows).toHaveLength(0)
  expect(await at.count('mail_addresses', `waits_for = 'daily_limit'`)).toBe(80 + 9 - 50 - 5)
})

test('several addresses are taken together within the daily limit, also for a tenant that keeps asking', async () => {
  await using at = await openTestOutbox()
  await noteAddresses(
    at.outbox,
    Array.from({ length: 80 }, (_, i) => ({ tenant: 'acme', address: `stranger-${i}@example.com` })),
  )
  expect(await takeToAsk(at.outbox, 60)).toHaveLength(50)

  await noteAddresses(at.outbox, [{ tenant: 'bravo', address: 'victim@example.com' }])
  const asked = []
  for (let i = 0; i < 9; i++) {
    const taken = await takeToAsk(at.outbox, 5)
    asked.push(...taken)
    for (const { id } of taken) await settleAsk(at.outbox, id, { error: null, retryMs: null })
    await at.outbox.pool.query(earlier)
    const { rows } = await at.outbox.pool.query(
      `select id from walhook.mail_addresses where tenant = 'bravo'`,
    )
    await transaction(at.outbox.pool, client => askAgain(client, rows[0].id, 600_000))
  }
  expect(asked).toHaveLength(5)
})

test('a webhook without addresses, and one without a tenant, cause no query', async () => {
  const none = { trustedDomains: [], mailProblems: null }
  const cells = { main: { outbox: null } } as never
  expect(await recipientsOf({ cells, ...none }, { tenant: 'acme', alertTo: [] })).toEqual([])
  expect(await recipientsOf({ cells, ...none }, { tenant: null, alertTo: ['a@b.c'] })).toMatchObject([
    { state: 'confirmed' },
  ])
})
