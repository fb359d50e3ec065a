import { afterAll, beforeAll, expect, test } from 'vitest'
import { alertExample } from '../../src/domain/alert/alert-body.ts'
import { batchBody } from '../../src/domain/delivery/shipment.ts'
import { alertTriggers, webhookAlerts } from '../../src/domain/event/alert.ts'
import { compileSchema } from '../support/event-schemas.ts'
import { openTestApi } from '../support/open-api.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
let ofAcme: string
beforeAll(async () => {
  at = await openTestApi({ hasTenants: true })
  ofAcme = await at.token('viewer', { tenant: 'acme' })
})
afterAll(() => at[Symbol.asyncDispose]())

type Listed = { trigger: string; fields: { name: string }[]; example: unknown }
const list = async (token?: string) =>
  (await at.call('GET', '/api/event-types', undefined, token)).json.data as Listed[]
const schemaOf = async (trigger: string, token?: string) =>
  await at.call('GET', `/api/event-types/${trigger}/schema`, undefined, token)

const entityTriggers = ['user', 'company'].flatMap(type =>
  ['new', 'update', 'delete'].map(one => `${type}.${one}`),
)

test('the list has pages, and the last one has no cursor', async () => {
  const whole = await list()
  const found: Listed[] = []
  for (let cursor: string | null = '0'; cursor !== null; ) {
    const { json } = await at.call('GET', `/api/event-types?limit=4&cursor=${cursor}`)
    expect(json.data.length).toBeLessThanOrEqual(4)
    found.push(...json.data)
    cursor = json.next_cursor
  }
  expect(found).toEqual(whole)
})

test("every trigger has a schema that accepts its example, and lists the example's fields", async () => {
  const types = await list()
  expect(types.map(({ trigger }) => trigger)).toEqual([...entityTriggers, ...alertTriggers])
  for (const { trigger, fields, example } of types) {
    const { status, json, headers } = await schemaOf(trigger)
    expect([status, headers.get('content-disposition')]).toEqual([
      200,
      `attachment; filename="${trigger}.schema.json"`,
    ])
    const validate = compileSchema(json)
    expect([trigger, validate(example), validate.errors]).toEqual([trigger, true, null])
    expect(json).toMatchObject({ title: trigger, examples: [example] })
    // Whatever is beside a reference makes a second type of the same for generators.
    expect(JSON.stringify(json)).not.toMatch(/"\$ref":"[^"]*",|,"\$ref":/)
    const { result = {} } = example as { result?: object }
    // Of alerts, what is only said sometimes is listed, too.
    expect(fields.map(({ name }) => name)).toEqual(expect.arrayContaining(Object.keys(result)))
  }
  expect(types[1]).toEqual({
    trigger: 'user.update',
    fields: [
      { name: 'id', type: 'integer', is_list: false, nullable: false },
      { name: 'email', type: 'string', is_list: false, nullable: true },
      { name: 'companies', type: 'integer', is_list: true, nullable: false },
    ],
    example: {
      ...{ entity_id: 1, entity_type: 'user', action_type: 'update' },
      result: { id: 1, email: 'text', companies: [1] },
    },
  })
})

test('a sent alert fits the schema of its trigger only', async () => {
  for (const trigger of alertTriggers) {
    const validate = compileSchema((await schemaOf(trigger)).json)
    const taken = alertTriggers.filter(each => validate(JSON.parse(alertExample(each))))
    expect(taken).toEqual([trigger])
  }
})

test('a tenant sees exactly its permitted triggers', async () => {
  const ours = ['user.new', 'user.update', 'user.delete', ...webhookAlerts]
  expect((await list(ofAcme)).map(({ trigger }) => trigger)).toEqual(ours)
  for (const trigger of ours) expect((await schemaOf(trigger, ofAcme)).status).toBe(200)
  for (const trigger of ['company.new', 'capture.lost', 'nothing.new', 'user.test', 'user'])
    expect((await schemaOf(trigger, ofAcme)).json.detail).toBe(`There is no trigger ${trigger}.`)
})

test('the schema of a webhook accepts its events, tests and batches, and refuses events of other triggers', async () => {
  const create = async (options: object) =>
    (await at.call('POST', '/api/webhooks', { name: 'CRM', url: 'https://crm.example/', ...options })).json.id
  const schema = async (id: number) =>
    compileSchema((await at.call('GET', `/api/webhooks/${id}/schema`)).json)
  const event = (type: string, action: string, more: object = {}) => ({
    ...{ entity_id: 7, entity_type: type, action_type: action },
    ...(action !== 'delete' && { result: { id: 7 } }),
    ...more,
  })
  const plain = await schema(await create({ triggers: ['user.update', 'company.delete', 'webhook.failing'] }))
  const alert = JSON.parse(alertExample('webhook.failing'))
  for (const taken of [
    event('user', 'update', { previous: { email: null }, omitted: ['email'] }),
    event('user', 'test'),
    event('company', 'delete'),
    alert,
    JSON.parse(alertExample('webhook.failing', 'test')),
  ])
    expect([taken, plain(taken)]).toEqual([taken, true])
  for (const refused of [
    event('user', 'new'),
    event('company', 'update'),
    event('user', 'update', { result: { id: 'x' } }),
    event('user', 'update', { previous: { email: 1 } }),
    JSON.parse(alertExample('capture.lost')),
    [alert],
  ])
    expect([refused, plain(refused)]).toEqual([refused, false])

  const triggers = ['user.new', 'user.update', 'user.delete']
  const batches = await schema(await create({ triggers, batch: { max_events: 2, max_wait_ms: 0 } }))
  const body = batchBody([event('user', 'new'), event('user', 'delete')].map(each => JSON.stringify(each)))
  expect([batches(JSON.parse(body)), batches([]), batches(event('user', 'new'))]).toEqual([
    true,
    false,
    false,
  ])
})
