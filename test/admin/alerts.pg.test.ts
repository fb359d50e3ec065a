import { afterAll, beforeAll, expect, test } from 'vitest'
import { askedType } from '../../src/domain/event/alert.ts'
import { sendAlerts } from '../../src/outbox/by-hand/send-alerts.ts'
import { settleMail, takeMails } from '../../src/outbox/records/alert-mails.ts'
import { noteIncidents } from '../../src/outbox/records/incidents.ts'
import { slotName } from '../support/open-outbox.ts'
import { openTestPages } from '../support/open-pages.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
beforeAll(async () => {
  at = await openTestPages()
})
afterAll(() => at[Symbol.asyncDispose]())

const typed = [
  ['name', 'Watch'],
  ['url', 'https://watch.example.com/'],
  ['is_active', 'true'],
] as const
const last = async () => (await at.call('GET', '/api/webhooks?limit=100')).json.data.at(-1)

test('choosing all triggers does not include alerts', async () => {
  await at.post('/couplings/new', [
    ...typed,
    ['key', 'a'],
    ...['user', 'company', '.new', '.update', '.delete'].map(all => ['all', all] as const),
  ])
  expect((await last()).triggers).toEqual(
    ['user', 'company'].flatMap(type => ['new', 'update', 'delete'].map(action => `${type}.${action}`)),
  )
})

test('alerts and addresses are chosen in the form, and shown again in both languages', async () => {
  await at.post('/couplings/new', [
    ...typed,
    ['key', 'b'],
    ['trigger', 'webhook.failing'],
    ['trigger', 'capture.lost'],
    ['alert_to', 'ops@example.com; dba@example.com'],
  ])
  const webhook = await last()
  expect(webhook).toMatchObject({
    triggers: ['webhook.failing', 'capture.lost'],
    alert_to: ['ops@example.com', 'dba@example.com'],
  })
  const form = (await at.get(`/couplings/${webhook.id}`)).text
  expect(form).toMatch(/value="webhook.failing" checked/)
  expect(form).not.toMatch(/value="webhook.disabled" checked/)
  expect(form).toContain('value="ops@example.com, dba@example.com"')
  expect(form).toContain('A webhook is failing')
  const dutch = await at.get(`/couplings/${webhook.id}`, 'admin', { 'accept-language': 'nl' })
  expect(dutch.text).toContain('Een webhook heeft een storing')
  expect((await at.get('/couplings')).text).toContain('<b>Alerts</b> 2')
  const wrong = await at.post(`/couplings/${webhook.id}`, [
    ...typed,
    ['version', '1'],
    ['trigger', 'capture.lost'],
    ['alert_to', 'ops@example.com, nobody'],
  ])
  expect(wrong.status).toBe(422)
  expect(wrong.text).toContain('is not an email address')
})

test('the event list finds alerts by subject and kind, on the page and in the API', async () => {
  const id = await at.webhook(['webhook.failing'])
  await noteIncidents(at.outbox.pool, [{ kind: 'webhook.failing', of: id }])
  const [incident] = (await at.call('GET', '/api/alerts')).json.data
  await sendAlerts(at.outbox, [incident.id], [])
  const found = async (query: string) => (await at.call('GET', `/api/events?${query}`)).json.data
  const [event] = await found('entity_type=webhook')
  expect(event).toMatchObject({ entity_type: 'webhook', entity_id: String(id), action_type: 'failing' })
  expect(await found('action=failing')).toEqual([event])
  expect(await found('entity_type=user')).toEqual([])
  const { text } = await at.get('/events?entity_type=webhook&action=failing')
  expect(text).toContain(`/events/${event.id}`)
  expect(text).toMatch(/<option value="webhook" selected>walhook: /)
  expect(text).toContain('<option value="failing" selected>A webhook is failing</option>')
  expect((await at.get(`/couplings/${id}/log`)).text).toMatch(/<option value="webhook">walhook: /)
  // An entity type of the application has its name for itself.
  expect([askedType('webhook', ['user']), askedType('webhook', ['webhook'])]).toEqual([
    'walhook:webhook',
    'webhook',
  ])
})

test('Health shows undelivered mails, with the fix', async () => {
  await noteIncidents(at.outbox.pool, [{ kind: 'capture.blocked', of: slotName }])
  const [incident] = (await at.call('GET', '/api/alerts')).json.data
  await sendAlerts(at.outbox, [incident.id], ['ops@example.com'])
  expect((await at.get('/health')).text).not.toContain('Alert emails did not arrive')
  const [mail] = await takeMails(at.outbox, 1)
  await settleMail(at.outbox, mail!, { error: 'EAUTH, answer 535', retryMs: 60_000 })
  const health = await at.get('/health')
  expect(health.text).toContain('Alert emails did not arrive')
  expect(health.text).toContain('EAUTH, answer 535')
  expect(health.text).not.toContain('ops@example.com')
})
