import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { advanceBackfill, endBackfill } from '../../src/outbox/source/backfills.ts'
import { openTestApi } from '../support/open-api.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
beforeAll(async () => {
  at = await openTestApi()
})
afterAll(() => at[Symbol.asyncDispose]())
beforeEach(() => at.outbox.pool.query('truncate walhook.backfills; truncate walhook.webhooks cascade'))

const start = (body: object) => at.call('POST', '/api/backfills', body)

test('a backfill starts with the defaults, and has its own address', async () => {
  const webhook = await at.webhook(['user.new'])
  const made = await start({ entity_type: 'user', webhook_id: webhook })
  expect(made.status).toBe(201)
  expect(made.json).toMatchObject({
    entity_type: 'user',
    webhook_id: webhook,
    action_type: 'new',
    rows_per_second: 1_000,
    state: 'waiting',
    reason: null,
    rows_done: 0,
    rows_estimate: null,
    done_about: null,
    ended_at: null,
  })
  expect(made.headers.get('location')).toBe(`/api/backfills/${made.json.id}`)
  expect((await at.call('GET', `/api/backfills/${made.json.id}`)).json).toEqual(made.json)
})

test('the default action comes from the mapping', async () => {
  await at.webhook(['company.update'])
  expect((await start({ entity_type: 'company' })).json).toMatchObject({
    action_type: 'update',
    webhook_id: null,
  })
  const refused = await start({ entity_type: 'company', action_type: 'new' })
  expect(refused.status).toBe(409)
  expect(refused.json.detail).toContain('No active webhook has the trigger company.new')
})

test('a backfill without a receiver, or already running, is refused with the fix', async () => {
  const webhook = await at.webhook(['user.update'])
  const refusals: [object, number, string][] = [
    [
      { entity_type: 'usr' },
      422,
      'The mapping has no entity "usr". Entities: user, company. Did you mean user?',
    ],
    [{ entity_type: 'user', webhook_id: 999_999 }, 422, 'There is no webhook 999999.'],
    [
      { entity_type: 'user', webhook_id: webhook },
      409,
      `Webhook ${webhook} does not have the trigger user.new, so nothing would be sent. Give it the trigger, or send the rows as update.`,
    ],
    [{ entity_type: 'user', rows_per_second: 0 }, 422, 'rows_per_second: must be at least 1'],
    [{ entity_type: 'user', action_type: 'delete' }, 422, 'action_type: must be new or update'],
  ]
  for (const [body, status, detail] of refusals) {
    const refused = await start(body)
    expect([refused.status, refused.json.detail]).toEqual([status, detail])
  }
  const first = await start({ entity_type: 'user', webhook_id: webhook, action_type: 'update' })
  const second = await start({ entity_type: 'user', webhook_id: webhook, action_type: 'update' })
  expect(second.status).toBe(409)
  expect(second.json.detail).toBe(
    `Backfill ${first.json.id} of user for webhook ${webhook} is running. Wait until it ends, change its pace, or cancel it first.`,
  )
  expect((await start({ entity_type: 'user', action_type: 'update' })).status).toBe(201)
})

test("a backfill's progress can be read, its pace changed, and it can be cancelled once; changes are audited", async () => {
  await at.webhook(['user.new'])
  const { id } = (await start({ entity_type: 'user' })).json
  const step = { fromKey: null, toKey: '50', untilKey: '200', rows: 50, rowsEstimate: 200, isLast: false }
  await advanceBackfill(at.outbox.pool, { id, ...step })
  await at.outbox.pool.query(`update walhook.backfills set started_at = now() - interval '10 seconds'`)
  const running = (await at.call('GET', `/api/backfills/${id}`)).json
  expect(running).toMatchObject({ state: 'running', rows_done: 50, rows_estimate: 200 })
  expect(running.real_rows_per_second).toBeGreaterThan(0)
  expect(Date.parse(running.done_about)).toBeGreaterThan(Date.now())

  const changed = await at.call('PATCH', `/api/backfills/${id}`, { rows_per_second: 5 })
  expect(changed.json).toMatchObject({ rows_per_second: 5 })
  const cancelled = await at.call('DELETE', `/api/backfills/${id}`)
  expect(cancelled.json).toMatchObject({
    state: 'cancelled',
    reason: 'cancelled by WALHOOK_ADMIN_TOKEN',
    rows_done: 50,
  })
  for (const [method, body] of [['DELETE'], ['PATCH', { rows_per_second: 5 }]] as const) {
    const refused = await at.call(method, `/api/backfills/${id}`, body)
    expect([refused.status, refused.json.detail]).toEqual([
      409,
      `Backfill ${id} has ended already: its state is cancelled.`,
    ])
  }
  const { data } = (await at.call('GET', '/api/audit?limit=3')).json
  expect(data.map(({ action, target_id }: Record<string, string>) => `${action} ${target_id}`)).toEqual([
    `backfill.cancelled ${id}`,
    `backfill.changed ${id}`,
    `backfill.started ${id}`,
  ])
  expect(data[1].changes).toEqual({ rows_per_second: { from: 1000, to: 5 } })
  expect((await at.call('GET', '/api/backfills/999')).status).toBe(404)
})

test('the list is newest first, in pages, and shows no backfill of another slot', async () => {
  await at.webhook(['user.new'])
  const ids: number[] = []
  for (let i = 0; i < 3; i++) {
    const { id } = (await start({ entity_type: 'user' })).json
    ids.unshift(id)
    await endBackfill(at.outbox.pool, id, { state: 'cancelled', reason: 'test' })
  }
  await at.outbox.pool.query(
    `insert into walhook.backfills (slot_name, entity_type, action_type, rows_per_second) values ('another', 'user', 'new', 1)`,
  )
  const first = (await at.call('GET', '/api/backfills?limit=2')).json
  const second = (await at.call('GET', `/api/backfills?limit=2&cursor=${first.next_cursor}`)).json
  expect([...first.data, ...second.data].map(({ id }) => id)).toEqual(ids)
  expect(second.next_cursor).toBe(null)
})
