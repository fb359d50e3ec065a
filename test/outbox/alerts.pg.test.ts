import { expect, test } from 'vitest'
import type { AlertTrigger } from '../../src/domain/event/alert.ts'
import { timeOf } from '../../src/domain/value/time-id.ts'
import { pickDue } from '../../src/outbox/aside/pick-due.ts'
import type { Delivery } from '../../src/outbox/aside/shipment.ts'
import { incidentsToSend, sendAlerts } from '../../src/outbox/by-hand/send-alerts.ts'
import { readLog } from '../../src/outbox/log/log.ts'
import { readPosition } from '../../src/outbox/log/position.ts'
import { settleMail, takeMails } from '../../src/outbox/records/alert-mails.ts'
import {
  endIncidents,
  type IncidentReport,
  listIncidents,
  noteIncidents,
} from '../../src/outbox/records/incidents.ts'
import { takeToAsk } from '../../src/outbox/records/mail-addresses.ts'
import { openGap } from '../../src/outbox/source/gaps.ts'
import { openTestOutbox, slotName, type TestOutbox } from '../support/open-outbox.ts'
import { everyUser } from '../support/outbox-traffic.ts'
import { allShares, claim, holderOf, settle, settlementOf } from '../support/sending.ts'
import { statementsOf } from '../support/statements-sent.ts'

const retry = { next: { state: 'retry', waitMs: 0, costsAttempt: true } } as const
const dead = { next: { state: 'dead' } } as const

/** As if it had failed, or rested, for so long already. */
const age = (at: TestOutbox, minutes: number) =>
  at.outbox.pool.query(
    `with w as (update walhook.webhooks set failing_since = failing_since - $1 * interval '1 minute', failed_at = failed_at - $1 * interval '1 minute')
     update walhook.incidents set opened_at = opened_at - $1 * interval '1 minute', last_at = last_at - $1 * interval '1 minute',
       ended_at = ended_at - $1 * interval '1 minute'`,
    [minutes],
  )

async function fail(at: TestOutbox, webhookId: number, how: Parameters<typeof settlementOf>[1] = retry) {
  const [delivery] = await claim(at, webhookId, 1)
  return await settle(at, settlementOf(delivery!, how))
}

/** Whatever there is to tell, without waiting for what gathers. */
async function sendAll(at: TestOutbox, toCapture: readonly string[] = []) {
  await at.outbox.pool.query(
    `update walhook.incidents set opened_at = opened_at - interval '1 minute' where told_at is null`,
  )
  const told = []
  for (let ids = await incidentsToSend(at.outbox); ids.length > 0; ids = await incidentsToSend(at.outbox))
    told.push(...(await sendAlerts(at.outbox, ids, toCapture)))
  return told.map(({ alert }) => alert)
}

/** What a webhook is sent as rows. */
async function rowsOf(at: TestOutbox, webhookId: number): Promise<readonly Delivery[]> {
  const holderId = await holderOf(at)
  return (await pickDue(at.outbox, { holderId, webhookId, shares: allShares, limit: 100 })).deliveries
}

const kinds = async (at: TestOutbox) =>
  (await listIncidents(at.outbox, { limit: 100, before: null, isOpen: false })).map(
    ({ kind, count, endedAt }) => `${kind} ${count}${endedAt ? ' ended' : ''}`,
  )

test('a webhook that fails for a minute causes one alert, and its recovery another', async () => {
  await using at = await openTestOutbox()
  const failing = await at.webhook(everyUser)
  const watcher = await at.webhook(['webhook.failing', 'webhook.recovered'])
  await at.append('user 1 new', 'user 2 new', 'user 3 new', 'user 4 new')

  await fail(at, failing)
  expect(await kinds(at)).toEqual([])
  for (let minute = 0; minute < 3; minute++) {
    await age(at, 2)
    await fail(at, failing)
  }
  expect(await sendAll(at)).toEqual(['webhook.failing'])
  await fail(at, failing, {})
  expect(await sendAll(at)).toEqual(['webhook.recovered'])

  const [first] = await rowsOf(at, watcher)
  expect(first).toMatchObject({
    entityType: 'walhook:webhook',
    entityId: String(failing),
    actionType: 'failing',
    attempts: 0,
  })
  expect(JSON.parse(first!.body)).toMatchObject({
    entity_id: failing,
    entity_type: 'webhook',
    action_type: 'failing',
    result: { version: 1, webhook_id: failing, webhook_name: 'CRM' },
  })
  expect(first!.body).not.toContain('crm.example.com')
  // In their order: the second waits for the first.
  await settle(at, settlementOf(first!))
  expect((await rowsOf(at, watcher)).map(({ actionType }) => actionType)).toEqual(['recovered'])
})

test('an intermittent failure causes at most one alert in 15 minutes', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append(...Array.from({ length: 9 }, (_, i) => `user ${i} new`))
  const failFor = async (minutes: number) => {
    await fail(at, webhook)
    await age(at, minutes)
    await fail(at, webhook)
  }
  await failFor(2)
  await fail(at, webhook, {})
  expect(await sendAll(at)).toEqual(['webhook.failing', 'webhook.recovered'])
  await failFor(2)
  await fail(at, webhook, {})
  expect(await sendAll(at)).toEqual([])
  await failFor(16)
  expect(await sendAll(at)).toEqual(['webhook.failing'])
})

test('dead deliveries cause one alert an hour, with their number', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const watcher = await at.webhook(['delivery.dead'])
  await at.append(...Array.from({ length: 7 }, (_, i) => `user ${i} new`))
  const deliveries = await claim(at, webhook, 5)
  await settle(at, ...deliveries.slice(0, 2).map(each => settlementOf(each, { ...dead, isFailing: false })))
  // It is told after some seconds, with what comes until then.
  expect(await incidentsToSend(at.outbox)).toEqual([])
  await settle(at, ...deliveries.slice(2).map(each => settlementOf(each, { ...dead, isFailing: false })))
  expect(await sendAll(at)).toEqual(['delivery.dead'])
  const [alert] = await rowsOf(at, watcher)
  expect(JSON.parse(alert!.body)).toMatchObject({
    entity_type: 'delivery',
    entity_id: webhook,
    action_type: 'dead',
    result: { count: 5 },
  })

  await fail(at, webhook, { ...dead, isFailing: false })
  expect(await sendAll(at)).toEqual([])
  expect(await kinds(at)).toEqual(['delivery.dead 6'])
  await age(at, 120)
  await fail(at, webhook, { ...dead, isFailing: false })
  expect(await sendAll(at)).toEqual(['delivery.dead'])
})

test('a failed delivery of an alert causes no alert, even between two webhooks that watch each other', async () => {
  await using at = await openTestOutbox()
  const all: AlertTrigger[] = ['webhook.failing', 'webhook.recovered', 'webhook.disabled', 'delivery.dead']
  const [one, two] = [await at.webhook([...everyUser, ...all]), await at.webhook(all)]
  await at.append('user 1 new', 'user 2 new')
  await fail(at, one)
  await age(at, 2)
  await fail(at, one)
  expect(await sendAll(at)).toEqual(['webhook.failing'])
  // Not to the one that it is about.
  expect((await rowsOf(at, one)).filter(({ entityType }) => entityType !== 'user')).toEqual([])
  // For long, until it is dead, and so that it disables the webhook.
  for (const how of [retry, retry, retry, { ...dead, disable: 'The receiver answered 410 Gone.' }]) {
    const [alert] = await rowsOf(at, two)
    await settle(at, settlementOf(alert!, how))
    await age(at, 10)
  }
  expect(await kinds(at)).toEqual(['webhook.failing 1'])
  expect(await sendAll(at)).toEqual([])
})

test('a disabled webhook causes one alert; its activation ends the incident', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const watcher = await at.webhook(['webhook.disabled'])
  await at.append('user 1 new')
  await fail(at, webhook, { ...dead, disable: 'The receiver answered 410 Gone.' })
  expect((await sendAll(at)).sort()).toEqual(['delivery.dead', 'webhook.disabled'])
  const [alert] = await rowsOf(at, watcher)
  expect(JSON.parse(alert!.body)).toMatchObject({ action_type: 'disabled', result: { reason: 'gone' } })
})

test('several processes send an incident and its mails once', async () => {
  await using at = await openTestOutbox()
  const watcher = await at.webhook(['capture.lost', 'capture.blocked'])
  const happening: IncidentReport = {
    kind: 'capture.blocked',
    of: slotName,
    facts: { code: 'capture.source_problem' },
  }
  await Promise.all(Array.from({ length: 8 }, () => noteIncidents(at.outbox.pool, [happening])))
  const [id] = await incidentsToSend(at.outbox)
  const told = await Promise.all(
    Array.from({ length: 4 }, () => sendAlerts(at.outbox, [id!], ['ops@example.com'])),
  )
  expect(told.flat()).toMatchObject([{ alert: 'capture.blocked', webhooks: 1, mails: 1 }])
  expect(await rowsOf(at, watcher)).toHaveLength(1)
  expect(await takeMails(at.outbox, 10)).toMatchObject([
    { recipient: 'ops@example.com', alerts: [{ alert: 'capture.blocked' }], number: 1 },
  ])
  expect(await takeMails(at.outbox, 10)).toEqual([])
})

test('looking for mails and addresses takes no lock while none is due', async () => {
  await using at = await openTestOutbox()
  const { done, statements } = await statementsOf(async () => [
    await takeMails(at.outbox, 5),
    await takeToAsk(at.outbox, 5),
  ])
  expect(done).toEqual([[], []])
  expect(statements).toHaveLength(2)
  for (const statement of statements)
    expect(statement).toMatch(/^select exists \(select 1 from walhook\.\w+ /)
})

test('a gap is recorded in the commit that finds it, and its alert names the loss', async () => {
  await using at = await openTestOutbox()
  const watcher = await at.webhook(['capture.lost'])
  const gap = {
    slotName,
    reason: 'slot missing',
    detail: 'the replication slot test was dropped',
    fromLsn: 1n,
  }
  await Promise.all([openGap(at.outbox, gap), openGap(at.outbox, gap)])
  expect(await sendAll(at)).toEqual(['capture.lost'])
  const [alert] = await rowsOf(at, watcher)
  expect(JSON.parse(alert!.body)).toMatchObject({
    entity_id: slotName,
    entity_type: 'capture',
    action_type: 'lost',
    result: {
      count: 1,
      slot: slotName,
      code: 'capture.changes_lost',
      lost: [{ reason: 'slot missing', entity_type: null, table_name: null }],
    },
  })
})

test("an alert's id is below every uncommitted event, so that no stream passes one", async () => {
  await using at = await openTestOutbox()
  await at.webhook([...everyUser, 'capture.blocked', 'capture.lagging'])
  const before = await at.append('user 1 new', 'user 2 new')
  // Capture has given ids to what it has not committed yet.
  const underWay = at.nextAppend('user 3 new')
  for (const kind of ['capture.blocked', 'capture.lagging'] as const)
    await noteIncidents(at.outbox.pool, [{ kind, of: slotName }])
  await sendAll(at)
  const position = (await readPosition(at.outbox, slotName))!
  const page = await readLog(at.outbox, { after: 0n, limit: 100, maxBytes: 1_000_000 })
  const alerts = page.events.filter(({ entityType }) => entityType.startsWith('walhook:'))
  expect(alerts.map(({ onlyWebhookId }) => onlyWebhookId)).toEqual([0, 0])
  expect(alerts[0]!.id < alerts[1]!.id).toBe(true)
  expect(page.readUpTo).toBe(before[1])
  expect(position.lastEventId).toBe(before[1])
  expect(underWay.events[0]!.id > page.readUpTo).toBe(true)
})

test('without a webhook for the trigger no event is stored, and the mails are still sent', async () => {
  await using at = await openTestOutbox()
  await at.webhook(everyUser)
  await noteIncidents(at.outbox.pool, [{ kind: 'capture.blocked', of: slotName }])
  const [id] = await incidentsToSend(at.outbox)
  const [told] = await sendAlerts(at.outbox, [id!], ['ops@example.com'])
  expect(told).toMatchObject({ eventId: null, webhooks: 0, mails: 1 })
  expect(await at.count('events')).toBe(0)
  expect(await incidentsToSend(at.outbox)).toEqual([])
})

test('in an empty log, an alert gets an id of a day ago', async () => {
  await using at = await openTestOutbox()
  await at.outbox.pool.query('delete from walhook.positions')
  const watcher = await at.webhook(['capture.blocked'])
  await noteIncidents(at.outbox.pool, [{ kind: 'capture.blocked', of: slotName }])
  await sendAll(at)
  const [alert] = await rowsOf(at, watcher)
  expect(timeOf(alert!.eventId)).toBeLessThan(Date.now() - 86_000_000)
})

test('500 webhooks that fail together cause one alert each, and stop the holders three times', async () => {
  await using at = await openTestOutbox()
  const watcher = await at.webhook(['webhook.failing', 'webhook.recovered'])
  const { rows } = await at.outbox.pool.query(
    `insert into walhook.webhooks (name, url, triggers, secret, tenant, alert_to)
     select 'hook ' || n, 'https://dead.example.com/', '{user.new}', 'v1:sealed', 'tenant ' || n, '{ops@example.com}'
     from generate_series(1, 500) n returning id`,
  )
  const theirs = await at.webhook(['webhook.failing'], true, { tenant: 'tenant 7' })
  for (const { id } of rows) await noteIncidents(at.outbox.pool, [{ kind: 'webhook.failing', of: id }])

  const { done, statements } = await statementsOf(() => sendAll(at))
  expect(done).toHaveLength(500)
  expect(statements.filter(text => text.includes('walhook.holders order by id'))).toHaveLength(3)
  expect(await at.count('deliveries', `webhook_id = ${watcher}`)).toBe(500)
  expect(await at.count('deliveries', `webhook_id = ${theirs}`)).toBe(1)
  expect(await at.count('events', `entity_type = 'walhook:webhook'`)).toBe(500)
  // Each is due: its own entity, behind nothing.
  expect(await at.count('deliveries', `due_at <= now()`)).toBe(501)
  expect(await at.count('alert_mails')).toBe(500)

  await endIncidents(at.outbox.pool, [rows[0].id], ['webhook.failing'], { alertsEnd: true })
  expect(await sendAll(at)).toEqual(['webhook.recovered'])
})

test('without a webhook for alerts, mails are sent without stopping the holders', async () => {
  await using at = await openTestOutbox()
  const failing = await at.webhook(everyUser, true, { alertTo: ['ops@example.com'] })
  await noteIncidents(at.outbox.pool, [{ kind: 'webhook.failing', of: failing }])
  const { statements } = await statementsOf(() => sendAll(at))
  expect(statements.filter(text => text.includes('walhook.holders order by id'))).toEqual([])
  expect(await at.count('alert_mails')).toBe(1)
})

test('an address gets five mails at once, then one summary in ten minutes', async () => {
  await using at = await openTestOutbox()
  const failing = await Promise.all(
    Array.from({ length: 12 }, () =>
      at.webhook(everyUser, true, { alertTo: ['ops@example.com', 'Two@example.com'] }),
    ),
  )
  const fail = async (from: number, to: number) => {
    for (const of of failing.slice(from, to))
      await noteIncidents(at.outbox.pool, [{ kind: 'webhook.failing', of }])
    await sendAll(at)
  }
  const taken = async () => {
    const mails = await takeMails(at.outbox, 10)
    for (const mail of mails) await settleMail(at.outbox, mail, { error: null })
    return mails.map(({ recipient, counts }) => `${recipient} ${[...counts]}`).sort()
  }
  for (let one = 0; one < 5; one++) {
    await fail(one, one + 1)
    expect(await taken()).toEqual(['Two@example.com webhook.failing,1', 'ops@example.com webhook.failing,1'])
  }
  await fail(5, 9)
  expect(await taken()).toEqual([])
  await fail(9, 12)
  await endIncidents(at.outbox.pool, [failing[0]!], ['webhook.failing'], { alertsEnd: true })
  await sendAll(at)
  expect(await taken()).toEqual([])
  await at.outbox.pool.query(
    `update walhook.alert_mails set due_at = due_at - interval '10 minutes', taken_at = taken_at - interval '10 minutes'`,
  )
  const all = 'webhook.failing,7,webhook.recovered,1'
  expect(await taken()).toEqual([`Two@example.com ${all}`, `ops@example.com ${all}`])
  expect(await at.count('alert_mails', 'sent_at is null')).toBe(0)
})

test('alerts of two tenants to one address are two mails', async () => {
  await using at = await openTestOutbox()
  for (const tenant of ['acme', 'bravo']) {
    const of = await at.webhook(everyUser, true, { tenant, alertTo: ['ops@example.com'] })
    await noteIncidents(at.outbox.pool, [{ kind: 'webhook.failing', of }])
  }
  await sendAll(at)
  expect(
    (await takeMails(at.outbox, 10)).map(({ tenant, alerts }) => [tenant, alerts.length]).sort(),
  ).toEqual([
    ['acme', 1],
    ['bravo', 1],
  ])
})
