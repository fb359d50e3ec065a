import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { adminToken, startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

/** What only the API of a real process shows: the source behind a test, and what gets into the log. */
let database: TestDatabase
let walhook: WalhookProcess
let receiver: Awaited<ReturnType<typeof startTestReceiver>>

async function sql(statement: string) {
  await using psql = await connect(database.url)
  await psql.query(statement)
}

async function call(method: string, path: string, body?: unknown) {
  const response = await fetch(`${await walhook.url()}${path}`, {
    method,
    headers: { authorization: `Bearer ${adminToken}` },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  return { status: response.status, text, json: (text === '' ? null : JSON.parse(text)) as any }
}

const create = async (change: object = {}) =>
  (
    await call('POST', '/api/webhooks', {
      name: 'CRM',
      url: receiver.url,
      triggers: ['user.new', 'user.update', 'user.delete'],
      ...change,
    })
  ).json

beforeAll(async () => {
  database = await createTestDatabase({ hasOutbox: true })
  await sql(`
    create table users (id integer primary key, name text, password_hash text);
    insert into users values (7, 'Ada', 'hunter2'), (8, 'Bob', 'hunter2');
    create table companies (id uuid primary key)`)
  receiver = await startTestReceiver()
  walhook = startWalhook(database, { WALHOOK_ADMIN_USER: '7', LOG_LEVEL: 'trace' })
  await walhook.ready()
})

afterAll(async () => {
  await walhook[Symbol.asyncDispose]()
  await receiver[Symbol.asyncDispose]()
})

test('a test sends the account of WALHOOK_ADMIN_USER as it is in the source, or the one asked for', async () => {
  const { id } = await create()
  const own = await call('POST', `/api/webhooks/${id}/test`)
  expect(own.json).toMatchObject({ outcome: 'delivered', remote_address: '127.0.0.1' })
  expect(own.json.request.body).toBe(
    '{"entity_id":7,"entity_type":"user","action_type":"test","result":{"id":7,"name":"Ada"}}',
  )
  for (const user_id of [8, '8', ' 8', '+8', '0x8'])
    expect((await call('POST', `/api/webhooks/${id}/test`, { user_id })).json, String(user_id)).toMatchObject(
      {
        entity_id: '8',
        request: { body: expect.stringMatching(/^\{"entity_id":8,.+"name":"Bob"\}\}$/) },
      },
    )
})

test('an event is found by its entity, explained, and resent under the same webhook-id as a manual attempt', async () => {
  const { id } = await create()
  await sql(`insert into users values (70, 'Cleo', '')`)
  const find = async () => (await call('GET', '/api/events?entity_type=user&entity_id=70')).json.data
  const [event] = await until(async () => ((await find()).length > 0 ? await find() : null), {
    what: 'the event to be stored',
  })
  const explained = async () =>
    (await call('GET', `/api/events/${event.id}?webhook_id=${id}`)).json.deliveries[0]
  await until(async () => (await explained()).state === 'delivered', { what: 'the event to be delivered' })

  const { status, json } = await call('POST', `/api/webhooks/${id}/resend`, { event_id: event.id })
  expect(status).toBe(202)
  const arrived = () => receiver.arrivals.filter(({ messageId }) => messageId === json.message_id)
  await until(() => arrived().length === 2, { what: 'the event to arrive again' })
  expect(arrived()[0]!.body).toBe(arrived()[1]!.body)
  const log = await until(
    async () => {
      const { data } = (await call('GET', `/api/webhooks/${id}/log`)).json
      return data.length === 2 && data
    },
    { what: 'both requests to be logged' },
  )
  expect(log).toMatchObject([
    { trigger: 'manual', number: 1, event_id: event.id },
    { trigger: 'schedule', number: 1, event_id: event.id },
  ])
})

test.each([
  9,
  -1,
  'abc',
  '',
  '7; drop table users',
  `7' or '1'='1`,
  '9'.repeat(200),
  2 ** 40,
  '{7}',
  '7.0',
  'null',
])('a missing account %j is reported clearly', async user_id => {
  const { id } = await create()
  const { status, json, text } = await call('POST', `/api/webhooks/${id}/test`, { user_id })
  expect(status, text).toBe(422)
  expect(json.errors[0].pointer).toBe('/user_id')
  expect((await call('GET', `/api/webhooks/${id}/log`)).json.data).toEqual([])
})

test('a missing account is reported on the pages too, for any form input', async () => {
  const { id } = await create()
  const form = async (path: string, fields: Record<string, string>, cookie = '') =>
    await fetch(`${await walhook.url()}${path}`, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'sec-fetch-site': 'same-origin', cookie },
      body: new URLSearchParams(fields),
    })
  const login = await form('/login', { token: adminToken })
  const cookie = login.headers.get('set-cookie')!.split(';')[0]!
  const answer = await form(`/couplings/${id}/test`, { user_id: '7\0' }, cookie)
  expect(answer.status).toBe(422)
  expect(await answer.text()).toContain('There is no user account with the id')
})

test('a test changes no figure and no numbering of later deliveries', async () => {
  const attempts = async () =>
    (await (await fetch(`${await walhook.url()}/metrics`)).text()).match(/^walhook_attempts_total.*$/gm) ?? []
  const { id } = await create({ triggers: ['user.new'] })
  const before = await attempts()
  for (let i = 0; i < 3; i++) await call('POST', `/api/webhooks/${id}/test`)
  expect(await attempts()).toEqual(before)
  await sql(`insert into users values (100, 'Eve')`)
  const log = await until(
    async () => {
      const { data } = (await call('GET', `/api/webhooks/${id}/log`)).json
      return data.length === 4 && data
    },
    { what: 'the delivery to stand in the log' },
  )
  expect(log.map(({ trigger, number }: Record<string, unknown>) => [trigger, number])).toEqual([
    ['schedule', 1],
    ['test', 1],
    ['test', 1],
    ['test', 1],
  ])
  // They are kept for a second.
  await until(async () => (await attempts()).join() !== before.join(), { what: 'the delivery to be counted' })
})

test.each([
  ['a private address', 'https://10.1.2.3/', 'add 10.1.2.3 to WALHOOK_ALLOW_TARGETS'],
  ['a loopback address in disguise', 'https://0x7f.2/', 'add 127.0.0.2 to WALHOOK_ALLOW_TARGETS'],
  ['a name that there is not', 'https://crm.invalid/', 'crm.invalid could not be resolved'],
  ['plain http', 'http://192.0.2.1/', '192.0.2.1'],
])('the target %s is refused at create and at change, with the fix', async (_what, url, help) => {
  const { id } = await create()
  for (const answer of [
    await call('POST', '/api/webhooks', { name: 'CRM', url, triggers: ['user.new'] }),
    await call('PATCH', `/api/webhooks/${id}`, { url }),
  ]) {
    expect(answer.status).toBe(422)
    expect(answer.json.errors).toMatchObject([{ pointer: '/url', detail: expect.stringContaining(help) }])
  }
  expect((await call('GET', `/api/webhooks/${id}`)).json.url).toBe(receiver.url)
})

test('no secret, token or credential of the source is in a log line or a response', async () => {
  const { id, secret } = await create()
  const answers = [
    await call('GET', '/api/webhooks'),
    await call('GET', `/api/webhooks/${id}`),
    await call('PATCH', `/api/webhooks/${id}`, { name: 'ERP' }),
    await call('POST', `/api/webhooks/${id}/test`),
    await call('PATCH', `/api/webhooks/${id}`, { secret }),
    await call('GET', `/api/webhooks/${id}/log`),
  ].map(({ text }) => text)
  await sql(`update users set name = 'Bo' where id = 8`)
  await walhook.logged('delivery.attempted', { webhook_id: id })
  const everything = [...answers, JSON.stringify(walhook.log), walhook.stderr()].join('\n')
  const { password } = new URL(database.url)
  for (const hidden of [secret, secret.slice(6), adminToken, 'hunter2', ...(password ? [password] : [])])
    expect(everything).not.toContain(hidden)
})

test('a response in progress at SIGTERM is completed', async () => {
  const status = Promise.withResolvers<number>()
  await using slow = await startTestReceiver(() => status.promise)
  const { id } = await create({ url: slow.url, triggers: ['company.new'] })
  const answer = call('POST', `/api/webhooks/${id}/test`)
  // Where the connection is cut, it is seen only below.
  answer.catch(() => {})
  await until(() => slow.arrivals.length === 1, { what: 'the test to arrive' })
  walhook.kill('SIGTERM')
  // Only then is the server closing: before, the answer would come also where connections are cut.
  const livez = `${await walhook.url()}/livez`
  const isClosed = () =>
    fetch(livez).then(
      () => false,
      () => true,
    )
  await until(isClosed, { what: 'the API to take no more requests' })
  status.resolve(204)
  expect(await answer).toMatchObject({ status: 200, json: { outcome: 'delivered' } })
  expect(await walhook.exited).toEqual({ code: 0, signal: null })
})
