import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { dropSlot } from '../support/slot.ts'
import { startSmtpServer } from '../support/smtp-server.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

const tables = `
  create table users (id integer primary key, name text);
  create table companies (id integer primary key);`
const alerts = [
  'webhook.failing',
  'webhook.recovered',
  'webhook.disabled',
  'delivery.dead',
  'capture.lost',
  'capture.blocked',
  'capture.lagging',
]

test('each incident, including a dropped slot, is sent once by webhook and mail, although a process is killed', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using smtp = await startSmtpServer()
  await using psql = await connect(database.url)
  await psql.query(tables)
  let status = 500
  await using receiver = await startTestReceiver(() => status)
  await using watcher = await startTestReceiver()
  const env = {
    WALHOOK_SMTP_URL: smtp.url,
    WALHOOK_MAIL_FROM: 'walhook@example.com',
    WALHOOK_ALERT_TO: 'ops@example.com',
    WALHOOK_RETRY_SCHEDULE: Array.from({ length: 50 }, () => '1s').join(','),
  }
  await using one = startWalhook(database, env)
  await using two = startWalhook(database, env)
  await Promise.all([one.ready(), two.ready()])
  const crm = await one.api('POST', '/api/webhooks', {
    name: 'CRM',
    url: receiver.url,
    triggers: ['user.new', ...alerts],
    alert_to: ['crm@example.com'],
  })
  const { secret } = await one.api('POST', '/api/webhooks', {
    name: 'Watch',
    url: watcher.url,
    triggers: alerts,
  })
  expect(crm.alert_to).toEqual(['crm@example.com'])

  await psql.query(`insert into users select i, 'Anna Private' from generate_series(1, 40) i`)
  await until(() => receiver.arrivals.length >= 40, { what: 'requests that fail' })
  // The process writes down that the webhook fails after the requests have failed.
  const ago = `now() - interval '5 minutes'`
  const age = `update walhook.webhooks set failing_since = ${ago}, failed_at = ${ago} where failed_at is not null`
  await until(async () => (await psql.query(age)).rowCount === 1, { what: 'the webhook to be failing' })
  // At the moment at which the incident is committed, one of the two is killed.
  await until(async () => ((await psql.query('select from walhook.incidents')).rowCount ?? 0) > 0, {
    what: 'the incident',
  })
  one.kill('SIGKILL')
  const told = () => [
    ...new Map(
      watcher.arrivals.map(each => [each.messageId, `${each.entityType}.${each.actionType}`]),
    ).values(),
  ]
  const mailed = () => [
    ...new Map(
      smtp.mails.map(each => [each.messageId, `${each.to} ${/^Subject: (.*)$/m.exec(each.raw)![1]}`]),
    ).values(),
  ]
  await until(() => told().length >= 1 && mailed().length >= 1, {
    what: 'the alert and its mail',
    timeoutMs: 60_000,
  })

  status = 204
  await until(() => told().length >= 2 && mailed().length >= 2, { what: 'the recovery', timeoutMs: 60_000 })
  expect(told()).toEqual(['webhook.failing', 'webhook.recovered'])
  expect(mailed()).toEqual([
    `crm@example.com [walhook] Webhook ${crm.id} (CRM) is failing`,
    `crm@example.com [walhook] Webhook ${crm.id} (CRM) has recovered`,
  ])
  // To no webhook about itself.
  expect(receiver.arrivals.filter(({ entityType }) => entityType !== 'user')).toEqual([])

  const slot = database.name.slice(0, 63)
  await dropSlot(psql, slot, { end: true })
  await until(() => told().includes('capture.lost') && mailed().length >= 3, {
    what: 'the loss',
    timeoutMs: 60_000,
  })
  expect(mailed().at(-1)).toContain('ops@example.com [walhook] Changes were lost')

  const { body, headers } = watcher.arrivals.find(({ actionType }) => actionType === 'lost')!
  expect(new Webhook(String(secret)).verify(body, headers as Record<string, string>)).toMatchObject({
    entity_type: 'capture',
    entity_id: slot,
    result: { version: 1, lost: [{ reason: 'slot missing' }] },
  })
  const everything = [...smtp.mails.map(({ raw }) => raw), ...watcher.arrivals.map(({ body }) => body)].join(
    '\n',
  )
  expect(everything).not.toMatch(/Anna|whsec_|127\.0\.0\.1|secret-of-smtp/)
  // The watcher has a request before it is settled.
  const isLost = { entity_type: 'capture', action_type: 'lost', outcome: 'delivered' }
  await until(
    async () => {
      const { data } = (await two.api('GET', `/api/webhooks/${Number(crm.id) + 1}/log`)) as { data: object[] }
      expect(data).toContainEqual(expect.objectContaining(isLost))
      return true
    },
    { what: 'the alert to be in the log' },
  )
  expect(
    (await psql.query(`select count(*)::int as n from walhook.incidents where told_at is null`)).rows[0].n,
  ).toBe(0)
}, 180_000)
