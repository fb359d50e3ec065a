import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestApi } from '../support/open-api.ts'
import { claim, settleAll } from '../support/sending.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
beforeAll(async () => {
  at = await openTestApi()
})
afterAll(() => at[Symbol.asyncDispose]())

const everyUser = ['user.new', 'user.update', 'user.delete']
let users = 100

/** A user of this test, told of by these actions. */
async function tell(...actions: string[]): Promise<{ entityId: string; eventIds: string[] }> {
  const entityId = String(++users)
  for (const action of actions) await at.append(`user ${entityId} ${action}`)
  const { json } = await at.call('GET', `/api/events?entity_type=user&entity_id=${entityId}`)
  return { entityId, eventIds: json.data.map(({ id }: { id: string }) => id).reverse() }
}

const auditOf = async (id: number) =>
  (await at.call('GET', `/api/audit?webhook_id=${id}`)).json.data.map(
    ({ action, changes }: { action: string; changes: object }) => [action, changes],
  )

test('a resend reports its state, and whether the receiver has a newer event', async () => {
  const id = await at.webhook(everyUser)
  const { entityId, eventIds } = await tell('new', 'update')
  for (let i = 0; i < 2; i++) await settleAll(at, id)
  const again = await at.call('POST', `/api/webhooks/${id}/resend`, { event_id: eventIds[0] })
  expect(again.status).toBe(202)
  expect(again.json).toEqual({
    webhook_id: id,
    event_id: eventIds[0],
    message_id: `msg_${id}_${eventIds[0]}`,
    entity_type: 'user',
    entity_id: entityId,
    behind_event_id: null,
    newer_delivered: true,
  })
  const next = await at.call('POST', `/api/webhooks/${id}/resend`, { event_id: eventIds[1] })
  expect(next.json).toMatchObject({ behind_event_id: eventIds[0], newer_delivered: false })
  expect(await auditOf(id)).toEqual([
    ['deliveries.resent', { event_id: { to: eventIds[1] } }],
    ['deliveries.resent', { event_id: { to: eventIds[0] } }],
  ])
})

test('a resend of an event in flight, or for an inactive webhook, is refused without an audit record', async () => {
  const id = await at.webhook(everyUser)
  const { eventIds } = await tell('new')
  const resend = async () => {
    const { status, json } = await at.call('POST', `/api/webhooks/${id}/resend`, { event_id: eventIds[0] })
    return { status, detail: json.detail }
  }
  await claim(at, id)
  expect(await resend()).toMatchObject({ status: 409, detail: expect.stringContaining('in flight') })
  await at.outbox.pool.query(
    `update walhook.webhooks set disabled_at = now(), disabled_reason = 'It answered 410 Gone.' where id = $1`,
    [id],
  )
  expect(await resend()).toEqual({
    status: 409,
    detail: `Webhook ${id} was disabled: It answered 410 Gone. Activate it again first.`,
  })
  await at.outbox.pool.query(
    'update walhook.webhooks set is_active = false, disabled_at = null, disabled_reason = null where id = $1',
    [id],
  )
  expect(await resend()).toMatchObject({ status: 409, detail: expect.stringContaining('is inactive') })
  expect(await auditOf(id)).toEqual([])
})

test('pending deliveries are cancelled by event, by entity or all; the audit records the selection', async () => {
  const id = await at.webhook(everyUser)
  const [one, two] = [await tell('new', 'update', 'delete'), await tell('new')]
  await tell('new', 'update')
  const cancel = async (body: object) => (await at.call('POST', `/api/webhooks/${id}/cancel`, body)).json
  expect(await cancel({ event_id: one.eventIds[1] })).toEqual({ cancelled: 1, is_complete: true })
  expect(await cancel({ event_id: one.eventIds[1] })).toEqual({ cancelled: 0, is_complete: true })
  expect(await cancel({ entity_type: 'user', entity_id: Number(two.entityId) })).toMatchObject({
    cancelled: 1,
  })
  expect(await cancel({ all: true })).toEqual({ cancelled: 4, is_complete: true })
  expect(await claim(at, id)).toEqual([])
  expect(await auditOf(id)).toEqual([
    ['deliveries.cancelled', { all: { to: true } }],
    ['deliveries.cancelled', { entity_type: { to: 'user' }, entity_id: { to: two.entityId } }],
    ['deliveries.cancelled', { event_id: { to: one.eventIds[1] } }],
  ])
})

test('events are replayed by time, by list, by trigger, or if failed; each replay is audited', async () => {
  const id = await at.webhook(['company.new'])
  const from = new Date().toISOString()
  const { eventIds } = await tell('new', 'update')
  const call = async (what: string, body: object) =>
    await at.call('POST', `/api/webhooks/${id}/${what}`, body)
  const replayed = await call('replay', { from, triggers: ['user.update'], beyond_triggers: true })
  expect(replayed.status).toBe(202)
  expect(replayed.json).toEqual({ queued: 1, next_cursor: null })
  expect((await call('replay', { event_ids: eventIds, beyond_triggers: true })).json).toMatchObject({
    queued: 1,
  })
  expect(
    (
      await call('replay', {
        from,
        to: new Date(Date.parse(from) + 1_000).toISOString(),
        beyond_triggers: true,
      })
    ).json,
  ).toMatchObject({
    queued: 0,
  })
  await settleAll(at, id, { next: { state: 'dead' } })
  expect((await call('resend-failed', { from, beyond_triggers: true })).json).toEqual({
    queued: 1,
    next_cursor: null,
  })
  expect(
    (await auditOf(id)).map(([action, changes]: [string, object]) => [action, Object.keys(changes).sort()]),
  ).toEqual([
    ['deliveries.resent', ['beyond_triggers', 'from', 'to']],
    ['deliveries.replayed', ['beyond_triggers', 'event_ids']],
    ['deliveries.replayed', ['beyond_triggers', 'from', 'to', 'triggers']],
  ])
  const cursor = Buffer.from(JSON.stringify([Date.now(), 'user', 'zzz'])).toString('base64url')
  expect((await call('replay', { from, cursor })).json).toEqual({ queued: 0, next_cursor: null })
  await at.outbox.pool.query('update walhook.webhooks set is_active = false where id = $1', [id])
  for (const what of ['replay', 'resend-failed']) expect((await call(what, { from })).status).toBe(409)
})

test('an event is explained for one webhook or for all', async () => {
  const [id, other] = [await at.webhook(everyUser), await at.webhook(['company.new'])]
  const { entityId, eventIds } = await tell('update')
  await at.outbox.pool.query(
    `update walhook.events set changed = '{email}', previous = '{"email":"a@example.com"}' where id = $1`,
    [eventIds[0]],
  )
  await settleAll(at, id)
  const { json } = await at.call('GET', `/api/events/${eventIds[0]}`)
  expect(json).toMatchObject({
    id: eventIds[0],
    entity_type: 'user',
    entity_id: entityId,
    action_type: 'update',
    committed_at: expect.any(String),
    changed: ['email'],
    previous: { email: 'a@example.com' },
    body: expect.stringContaining('"action_type":"update"'),
  })
  const said = new Map(json.deliveries.map((each: { webhook_id: number }) => [each.webhook_id, each]))
  expect(said.get(id)).toEqual({
    webhook_id: id,
    webhook_name: 'CRM',
    state: 'delivered',
    sentence: expect.stringMatching(/^Delivered at /),
    delivered_at: expect.any(String),
    until: null,
    other_event_id: null,
  })
  expect(said.get(other)).toMatchObject({ state: 'not_subscribed', delivered_at: null })
  const one = await at.call('GET', `/api/events/${eventIds[0]}?webhook_id=${other}`)
  expect(one.json.deliveries).toMatchObject([{ webhook_id: other }])
})

test('previous values keep all their digits', async () => {
  const { eventIds } = await tell('update')
  const previous = '{"balance":12345678901234567890.10,"rank":9007199254740993}'
  await at.outbox.pool.query('update walhook.events set previous = $2 where id = $1', [eventIds[0], previous])
  expect((await at.call('GET', `/api/events/${eventIds[0]}`)).text).toContain(`"previous":${previous}`)
})

test('the list of events has pages', async () => {
  const { entityId, eventIds } = await tell('new', 'update', 'update')
  const path = `/api/events?entity_type=user&entity_id=${entityId}&limit=2`
  const first = (await at.call('GET', path)).json
  expect(first.data.map(({ id }: { id: string }) => id)).toEqual([eventIds[2], eventIds[1]])
  const second = (await at.call('GET', `${path}&cursor=${first.next_cursor}`)).json
  expect(second).toMatchObject({ data: [{ id: eventIds[0], action_type: 'new' }], next_cursor: null })
  expect((await at.call('GET', '/api/events?limit=1')).json.data).toMatchObject([{ id: eventIds[2] }])
})

test('events are found by type, action, time and state, with their states at the webhooks', async () => {
  const { entityId, eventIds } = await tell('new', 'update')
  const found = async (query: string) =>
    (await at.call('GET', `/api/events?${query}`)).json.data.map(({ id }: { id: string }) => id)
  const of = `entity_type=user&entity_id=${entityId}`
  const { data } = (await at.call('GET', `/api/events?${of}`)).json
  expect(data[0]).toMatchObject({ stored_at: new Date(Number(BigInt(eventIds[1]!) >> 20n)).toISOString() })
  expect(Object.keys(data[0].webhooks)).toEqual([
    ...['dead', 'retrying', 'pending', 'delivered', 'cancelled', 'superseded'],
  ])
  expect(await found(`${of}&action=update,delete`)).toEqual([eventIds[1]])
  expect(await found(`${of}&to=${data[1].stored_at}`)).toEqual([])
  expect(await found(`${of}&from=${data[1].stored_at}`)).toEqual(eventIds.toReversed())
  const { pending, not_sent } = {
    pending: await found(`${of}&state=pending`),
    not_sent: await found(`${of}&state=not_sent`),
  }
  expect([...pending, ...not_sent].toSorted()).toEqual(eventIds.toSorted())
})

const noEvent = '1'
test.each<[string, string, unknown, number]>([
  ['POST', '/api/webhooks/ID/resend', { event_id: noEvent }, 404],
  ['POST', '/api/webhooks/ID/resend', {}, 422],
  ['POST', '/api/webhooks/ID/resend', { event_id: 7 }, 422],
  ['POST', '/api/webhooks/ID/resend', { event_id: 'x' }, 422],
  ['POST', '/api/webhooks/ID/resend', { event_id: '9'.repeat(19) }, 422],
  ['POST', '/api/webhooks/999999/resend', { event_id: noEvent }, 404],
  ['POST', '/api/webhooks/ID/replay', {}, 422],
  ['POST', '/api/webhooks/ID/replay', { to: '2026-01-01T00:00:00Z' }, 422],
  ['POST', '/api/webhooks/ID/replay', { from: 'yesterday' }, 422],
  ['POST', '/api/webhooks/ID/replay', { from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' }, 422],
  ['POST', '/api/webhooks/ID/replay', { from: '2026-01-02T00:00:00Z', triggers: ['user.gone'] }, 422],
  ['POST', '/api/webhooks/ID/replay', { from: '2026-01-02T00:00:00Z', triggers: ['user.new\u0000'] }, 422],
  ['POST', '/api/webhooks/ID/replay', { from: '2026-01-02T00:00:00Z', event_ids: [noEvent] }, 422],
  ['POST', '/api/webhooks/ID/replay', { event_ids: [] }, 422],
  ['POST', '/api/webhooks/ID/replay', { event_ids: [noEvent], cursor: 'x' }, 422],
  ['POST', '/api/webhooks/ID/replay', { event_ids: [noEvent], cursor: 'W10' }, 422],
  ['POST', '/api/webhooks/999999/replay', { event_ids: [noEvent] }, 404],
  ['POST', '/api/webhooks/ID/resend-failed', {}, 422],
  ['POST', '/api/webhooks/999999/resend-failed', { from: '2026-01-02T00:00:00Z' }, 404],
  ['POST', '/api/webhooks/ID/cancel', {}, 422],
  ['POST', '/api/webhooks/ID/cancel', { all: false }, 422],
  ['POST', '/api/webhooks/ID/cancel', { all: true, event_id: noEvent }, 422],
  ['POST', '/api/webhooks/ID/cancel', { entity_type: 'user' }, 422],
  ['POST', '/api/webhooks/ID/cancel', { entity_type: 'user', entity_id: 'a\u0000b' }, 422],
  ['POST', '/api/webhooks/ID/cancel', { event_id: noEvent }, 404],
  ['POST', '/api/webhooks/999999/cancel', { all: true }, 404],
  ['GET', `/api/events/${noEvent}`, undefined, 404],
  ['GET', '/api/events/x', undefined, 422],
  ['GET', '/api/events?state=sent', undefined, 422],
  ['GET', '/api/events?action=new,gone', undefined, 422],
  ['GET', '/api/events?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', undefined, 422],
  ['GET', '/api/events?entity_id=1', undefined, 422],
  ['GET', '/api/events?limit=101', undefined, 422],
])('%s %s with %j is a problem: %d', async (method, path, body, status) => {
  const id = await at.webhook(everyUser)
  const answer = await at.call(method, path.replace('ID', String(id)), body)
  expect(answer.status, answer.text).toBe(status)
  expect(answer.json.detail.length).toBeGreaterThan(10)
})

test('explaining an existing event for an unknown webhook is not found', async () => {
  const { eventIds } = await tell('new')
  expect((await at.call('GET', `/api/events/${eventIds[0]}?webhook_id=999999`)).status).toBe(404)
})

test('a viewer can read; resending and cancelling need an operator', async () => {
  const id = await at.webhook(everyUser)
  const { eventIds } = await tell('new')
  const tokens = { viewer: await at.token('viewer'), operator: await at.token('operator') }
  const act = async (who: string) => [
    (await at.call('GET', `/api/events/${eventIds[0]}`, undefined, who)).status,
    (await at.call('POST', `/api/webhooks/${id}/resend`, { event_id: eventIds[0] }, who)).status,
    (await at.call('POST', `/api/webhooks/${id}/cancel`, { all: true }, who)).status,
  ]
  expect(await act(tokens.viewer)).toEqual([200, 403, 403])
  expect(await act(tokens.operator)).toEqual([200, 202, 200])
})

test("a resend beyond the webhook's triggers needs an admin, and is audited", async () => {
  const id = await at.webhook(['company.new'])
  const operator = await at.token('operator')
  const from = new Date().toISOString()
  const { eventIds } = await tell('new')
  await at.append('company c1 new')
  const waits = async () =>
    (
      await at.outbox.pool.query(
        'select entity_type from walhook.deliveries where webhook_id = $1 order by 1',
        [id],
      )
    ).rows.map(row => row.entity_type)
  await settleAll(at, id)
  const call = async (what: string, body: object, token?: string) =>
    await at.call('POST', `/api/webhooks/${id}/${what}`, body, token)
  for (const token of [operator, undefined]) {
    expect(await call('resend', { event_id: eventIds[0] }, token)).toMatchObject({
      status: 409,
      json: { detail: expect.stringContaining('does not have the trigger user.new') },
    })
    expect((await call('replay', { from, triggers: ['user.new'] }, token)).json.errors[0].pointer).toBe(
      '/triggers/0',
    )
    expect((await call('replay', { event_ids: eventIds }, token)).json).toEqual({
      queued: 0,
      next_cursor: null,
    })
    expect((await call('replay', { from, triggers: ['company.new'] }, token)).status).toBe(202)
  }
  expect((await call('replay', { from }, operator)).status).toBe(202)
  expect(await waits()).toEqual(['company'])
  for (const [what, body] of [
    ['resend', { event_id: eventIds[0] }],
    ['replay', { from }],
    ['resend-failed', { from }],
  ] as const)
    expect((await call(what, { ...body, beyond_triggers: true }, operator)).status).toBe(403)
  expect((await call('resend', { event_id: eventIds[0], beyond_triggers: true })).status).toBe(202)
  expect(await waits()).toEqual(['company', 'user'])
  expect((await auditOf(id))[0]).toEqual([
    'deliveries.resent',
    { event_id: { to: eventIds[0] }, beyond_triggers: { to: true } },
  ])
  // What failed while the webhook had the trigger is not sent once it has it no more.
  await settleAll(at, id, { next: { state: 'dead' } })
  expect((await call('resend-failed', { from }, operator)).json.queued).toBe(1)
  expect(await waits()).toEqual(['company'])
})

test('an operator can test with another account only if the webhook has user triggers', async () => {
  const operator = await at.token('operator', { userId: '7' })
  const test = async (id: number, body: object, token?: string) =>
    (await at.call('POST', `/api/webhooks/${id}/test`, body, token)).status
  const [companies, users] = [await at.webhook(['company.new']), await at.webhook(['user.new'])]
  expect(await test(companies, { user_id: 8 }, operator)).toBe(403)
  expect(await test(companies, { user_id: 7 }, operator)).toBe(200)
  expect(await test(companies, {}, operator)).toBe(200)
  expect(await test(companies, { user_id: 8 })).toBe(200)
  expect(await test(users, { user_id: 8 }, operator)).toBe(200)
})

test('the deliveries of an event with more than a thousand webhooks have pages', async () => {
  const { rows } = await at.outbox.pool.query(
    `insert into walhook.webhooks (name, url, triggers, secret)
     select 'many ' || i, 'https://crm.example.com/', array['user.new'], 'v1:sealed' from generate_series(1, 1005) i
     returning id`,
  )
  const { eventIds } = await tell('new')
  const path = `/api/events/${eventIds[0]}`
  const first = (await at.call('GET', path)).json
  expect(first.deliveries).toHaveLength(1_000)
  expect(first.next_cursor).toBe(String(first.deliveries.at(-1).webhook_id))
  const second = (await at.call('GET', `${path}?cursor=${first.next_cursor}`)).json
  expect(second.next_cursor).toBeNull()
  const told = new Set([...first.deliveries, ...second.deliveries].map(({ webhook_id }) => webhook_id))
  expect(rows.every(({ id }) => told.has(id))).toBe(true)
  expect(told.size).toBe(first.deliveries.length + second.deliveries.length)
  await at.outbox.pool.query(`delete from walhook.webhooks where name like 'many %'`)
})
