import { readFile } from 'node:fs/promises'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { alertExample } from '../../src/domain/alert/alert-body.ts'
import { alertTriggers } from '../../src/domain/event/alert.ts'
import { sendAlerts } from '../../src/outbox/by-hand/send-alerts.ts'
import { endIncidents, noteIncidents } from '../../src/outbox/records/incidents.ts'
import { document } from '../support/check-response.ts'
import { openTestApi } from '../support/open-api.ts'
import { slotName } from '../support/open-outbox.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
beforeAll(async () => {
  at = await openTestApi()
})
afterAll(() => at[Symbol.asyncDispose]())

const wanted = { name: 'Watch', url: 'https://watch.example.com/hooks', triggers: ['capture.blocked'] }

test('alerts are triggers, and addresses are checked one by one', async () => {
  const created = await at.call('POST', '/api/webhooks', {
    ...wanted,
    triggers: ['user.new', ...alertTriggers],
    alert_to: ['ops@example.com', 'ops@example.com'],
  })
  expect(created.status).toBe(201)
  expect(created.json).toMatchObject({
    triggers: ['user.new', ...alertTriggers],
    alert_to: ['ops@example.com'],
  })
  const path = `/api/webhooks/${created.json.id}`
  const refused = await at.call('PATCH', path, {
    triggers: ['webhook.fails', 'capture.lost', 'delivery.new'],
    alert_to: ['ops@example.com', 'ops', 'a@b.c, d@e.f', 'Ops <ops@example.com>'],
  })
  expect(refused.status).toBe(422)
  expect(refused.json.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
    '/alert_to/1',
    '/alert_to/2',
    '/alert_to/3',
    '/triggers/0',
    '/triggers/2',
  ])
  expect(refused.text).toContain('write it as ops@example.com')
  const changed = await at.call('PATCH', path, { alert_to: [] })
  expect(changed.json).not.toHaveProperty('alert_to')
  await at.call('DELETE', path)
})

test('alert addresses are shown to admins only: not to viewers, and not in the audit', async () => {
  const { json } = await at.call('POST', '/api/webhooks', {
    ...wanted,
    alert_to: ['anna.private@example.com'],
  })
  await at.call('PATCH', `/api/webhooks/${json.id}`, { alert_to: ['bob.private@example.com'] })
  const viewer = await at.token('viewer')
  const read = await at.call('GET', `/api/webhooks/${json.id}`, undefined, viewer)
  expect(read.json.alert_to).toEqual(['…@example.com'])
  const audit = await at.call('GET', `/api/audit?webhook_id=${json.id}`)
  expect(audit.text).not.toMatch(/anna|bob/)
  expect(audit.text).toContain('…@example.com')
  await at.call('DELETE', `/api/webhooks/${json.id}`)
})

test('an alert is listed and explained among the events; incidents are listed, newest first', async () => {
  const watch = (await at.call('POST', '/api/webhooks', wanted)).json
  const other = (await at.call('POST', '/api/webhooks', { ...wanted, triggers: ['user.new'] })).json
  await noteIncidents(at.outbox.pool, [
    {
      kind: 'capture.blocked',
      of: slotName,
      facts: { code: 'capture.source_problem' },
    },
  ])
  const [incident] = (await at.call('GET', '/api/alerts?open=true')).json.data
  expect(incident).toMatchObject({
    kind: 'capture.blocked',
    slot: slotName,
    webhook_id: null,
    ended_at: null,
    count: 1,
  })
  const [told] = await sendAlerts(at.outbox, [incident.id], [])
  const event = (await at.call('GET', `/api/events/${told!.eventId}`)).json
  expect(event).toMatchObject({ entity_type: 'capture', action_type: 'blocked', entity_id: slotName })
  const stateOf = (id: number) =>
    event.deliveries.find(({ webhook_id }: { webhook_id: number }) => webhook_id === id)
  expect(stateOf(watch.id).state).toBe('due')
  expect(stateOf(other.id)).toMatchObject({ state: 'not_subscribed' })
  expect(stateOf(other.id).sentence).toContain('capture.blocked')
  await endIncidents(at.outbox.pool, [slotName], ['capture.blocked'])
  expect((await at.call('GET', '/api/alerts?open=true')).json.data).toEqual([])
  expect((await at.call('GET', '/api/alerts')).json.data).toHaveLength(1)
})

test('a test of a webhook with only alerts sends an example alert without anyone’s data', async () => {
  const { json } = await at.call('POST', '/api/webhooks', { ...wanted, url: 'https://127.0.0.1:1/' })
  const sent = await at.call('POST', `/api/webhooks/${json.id}/test`, {})
  expect(sent.status).toBe(200)
  expect(JSON.parse(sent.json.request.body)).toMatchObject({
    entity_type: 'capture',
    action_type: 'test',
    result: { code: 'capture.source_problem' },
  })
  expect(sent.json.entity_type).toBe('capture')
})

test.each(alertTriggers)('the OpenAPI document has a schema for %s that its body fits', trigger => {
  const ajv = addFormats.default(new Ajv2020({ strict: false }))
  const { post } = document.webhooks[trigger] as {
    post: { requestBody: { content: Record<string, { schema: object }> } }
  }
  const { schema } = post.requestBody.content['application/json']!
  const components = { $id: 'doc', components: document.components }
  ajv.addSchema(components)
  const text = JSON.stringify(schema).replaceAll('"#/components/', '"doc#/components/')
  const validate = ajv.compile(JSON.parse(text))
  expect(validate(JSON.parse(alertExample(trigger))), JSON.stringify(validate.errors)).toBe(true)
  expect(validate({ ...JSON.parse(alertExample(trigger)), action_type: 'new' })).toBe(false)
})

test('the guide lists all alerts, and its example equals a sent one', async () => {
  const guide = await readFile(new URL('../../docs/guide/alerts.md', import.meta.url), 'utf8')
  const [, shell = ''] = /```sh\n(walhook webhooks create.*?)```/s.exec(guide) ?? []
  const chosen = [...shell.matchAll(/--trigger (\S+)/g)].flatMap(([, some]) => some!.split(','))
  expect(chosen).toEqual([...alertTriggers])
  const created = await at.call('POST', '/api/webhooks', { ...wanted, triggers: chosen })
  expect(created.status).toBe(201)
  const example = JSON.parse(/```json\n(.*?)```/s.exec(guide)![1]!)
  const sent = JSON.parse(alertExample('webhook.failing'))
  expect(Object.keys(example.result)).toEqual(Object.keys(sent.result))
  expect({ ...example, entity_id: 1, result: null }).toEqual({ ...sent, result: null })
})
