import { afterAll, beforeAll, expect, test } from 'vitest'
import { forgetEntity } from '../../src/outbox/by-hand/forget.ts'
import { keepLastAttempts } from '../../src/outbox/reading/kept-attempts.ts'
import { insertAttempts } from '../../src/outbox/settle/insert-attempts.ts'
import { openTestApi } from '../support/open-api.ts'
import { cancel, claim, retry, settle, settlementOf } from '../support/sending.ts'
import { startTestReceiver } from '../support/test-receiver.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
beforeAll(async () => {
  at = await openTestApi()
})
afterAll(() => at[Symbol.asyncDispose]())

let people = 0
const newPerson = () => `person-${++people}-of-the-test`

/** The tables in which a text is anywhere in a row. */
async function tablesWith(text: string): Promise<string[]> {
  const { rows } = await at.outbox.pool.query(
    `select c.relname as name from pg_class c
     where c.relnamespace = 'walhook'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition order by 1`,
  )
  const found: string[] = []
  for (const { name } of rows) {
    const hits = await at.outbox.pool.query(
      `select from walhook.${name} t where t::text like '%' || $1 || '%' limit 1`,
      [text],
    )
    if (hits.rowCount) found.push(name)
  }
  return found
}

const forget = (entity_id: string, token?: string | null) =>
  at.call('POST', '/api/forget', { entity_type: 'user', entity_id }, token)
const answering = (body: string) => ({ status: 200, headers: { echo: body }, body, truncated: false })

test('forgetting an entity removes it from every table, and keeps all others', async () => {
  const [id, waitingId] = [
    await at.webhook(['user.new', 'user.update']),
    await at.webhook(['user.new', 'user.update']),
  ]
  const [person, other] = [newPerson(), newPerson()]
  await at.append(`user ${person} new`, `user ${person} update`, `user ${other} new`)
  for (const lane of await claim(at, id)) {
    const settlement = settlementOf(lane)
    await settle(at, {
      ...settlement,
      attempt: { ...settlement.attempt, response: answering(`got ${lane.entityId}`) },
    })
  }
  await insertAttempts(at.outbox.pool, [
    {
      attempt: {
        ...settlementOf((await claim(at, waitingId))[0]!).attempt,
        ...{ trigger: 'test', eventId: null, entityType: 'user', entityId: person, actionType: 'test' },
        request: { url: 'https://crm.example.com/', headers: {}, body: `{"name":"${person}"}` },
      },
      nextAttemptInMs: null,
      withPrevious: false,
      isBodyKept: true,
    },
  ])
  await at.outbox.pool.query(
    `insert into walhook.parked_changes (commit_lsn, index_in_transaction, entity_type, entity_id, action_type, reason)
     values ('0/1', 0, 'user', $1, 'new', 'x')`,
    [person],
  )
  expect(await tablesWith(person)).toEqual(['attempts', 'deliveries', 'events', 'parked_changes'])
  const before = await tablesWith(other)

  const forgotten = await forget(person)
  expect(forgotten.json).toEqual({
    events: 2,
    attempts: 2,
    batches: 0,
    deliveries: 3,
    parked: 1,
    answers: 0,
    is_complete: true,
  })
  expect(await tablesWith(person)).toEqual([])
  expect(await tablesWith(other)).toEqual(before)
  expect((await forget(person)).json).toMatchObject({
    events: 0,
    attempts: 0,
    deliveries: 0,
    is_complete: true,
  })
  const { json } = await at.call('GET', '/api/audit?limit=2')
  expect(json.data[1]).toMatchObject({
    action: 'entity.forgotten',
    changes: { entity_type: { to: 'user' }, events: { to: 2 }, deliveries: { to: 3 } },
  })
  expect(JSON.stringify(json)).not.toContain(person)
  // What comes of the person later is told as ever.
  await at.append(`user ${person} new`)
  expect((await claim(at, id)).map(({ entityId }) => entityId)).toContain(person)
})

test("a request in flight does not write a forgotten entity's data back", async () => {
  const id = await at.webhook(['user.new'])
  const [person, other] = [newPerson(), newPerson()]
  await at.append(`user ${person} new`, `user ${other} new`)
  const lanes = await claim(at, id)
  expect(lanes).toHaveLength(2)
  expect((await forget(person)).json).toMatchObject({ events: 1, is_complete: true })
  for (const lane of lanes) {
    const settlement = settlementOf(lane)
    await settle(at, {
      ...settlement,
      attempt: { ...settlement.attempt, response: answering(`got ${lane.entityId}`) },
    })
  }
  expect(await tablesWith(person)).toEqual([])
  expect(await at.queue()).not.toContainEqual(expect.stringContaining(`${id} user`))
  const { json } = await at.call('GET', `/api/webhooks/${id}/log`)
  expect(
    json.data
      .map((one: { entity_id: string; bodies_kept: boolean }) => [one.entity_id, one.bodies_kept])
      .sort(),
  ).toEqual([
    ['[forgotten]', false],
    [other, true],
  ])
})

test('events of a forgotten person in the log, blocked or cancelled, are removed, and newer ones are sent', async () => {
  const id = await at.webhook(['user.new', 'user.update'])
  const [person, other] = [newPerson(), newPerson()]
  await at.append(`user ${person} new`, `user ${person} update`, `user ${other} new`)
  // The first waits for its retry, the second one behind it, and the third was cancelled in the log.
  for (const delivery of await claim(at, id)) await settle(at, settlementOf(delivery, retry(60_000)))
  const [third, fourth] = await at.append(`user ${person} update`, `user ${person} update`)
  const cancelled = { webhookId: id, entity: { entityType: 'user', entityId: person }, eventId: third! }
  await cancel(at, { ...cancelled, upTo: third! })
  expect(await at.count('skips', `entity_id = '${person}'`)).toBe(1)
  const { json } = await forget(person)
  expect(json).toMatchObject({ events: 4, is_complete: true })
  // And of other webhooks.
  expect(json.deliveries).toBeGreaterThanOrEqual(3)
  expect(await tablesWith(person)).toEqual([])
  await at.append(`user ${person} new`)
  expect((await claim(at, id)).map(({ entityId, eventId }) => [entityId, eventId > fourth!])).toEqual([
    [person, true],
  ])
})

test('newer events behind a forgotten one are due', async () => {
  const id = await at.webhook(['user.new', 'user.update'])
  const person = newPerson()
  const [first] = await at.append(`user ${person} new`)
  const [newer] = await at.append(`user ${person} update`)
  for (const delivery of await claim(at, id)) await settle(at, settlementOf(delivery, retry(60_000)))
  await forgetEntity(at.outbox, { entityType: 'user', entityId: person }, first!, () => false)
  expect((await claim(at, id)).map(({ eventId }) => eventId)).toEqual([newer])
})

test('a batch keeps the events of other entities, also in flight', async () => {
  const id = await at.webhook(['user.new'])
  const [person, other] = [newPerson(), newPerson()]
  const ids: bigint[] = []
  await at.append(`user ${person} new`, `user ${other} new`)
  const lanes = await claim(at, id)
  ids.push(...lanes.map(lane => lane.eventId))
  const [first, second] = lanes
  await at.outbox.pool.query('update walhook.deliveries set batch_id = 5 where webhook_id = $1', [id])
  const settlement = settlementOf(first!)
  const batch = {
    ...settlement,
    shipment: { webhookId: id, batchId: 5n, isAside: true, deliveries: [first!, second!] as const },
    attempt: {
      ...settlement.attempt,
      ...{ eventId: null, eventIds: ids, entityType: null, entityId: null, actionType: null },
      response: answering(`got ${person}`),
    },
  }
  const refused = {
    ...batch.attempt,
    ...{
      outcome: 'refused' as const,
      errorClass: 'http_error' as const,
      errorMessage: `what ${person} said`,
    },
  }
  await settle(at, {
    ...batch,
    attempt: refused,
    next: { state: 'retry', waitMs: 60_000, costsAttempt: true },
  })
  expect((await forget(person)).json).toMatchObject({ events: 1, batches: 1 })
  await settle(at, batch)
  expect(await tablesWith(person)).toEqual([])
  const { json } = await at.call('GET', `/api/webhooks/${id}/log`)
  expect(json.data).toHaveLength(2)
  expect(json.data[1].request.body).toContain(other)
  expect(json.data[1].response.body).toBe('')
})

test('a stored response that contains a forgotten entity is removed, and others stay', async () => {
  await using receiver = await startTestReceiver()
  const { json: webhook } = await at.call('POST', '/api/webhooks', {
    name: 'CRM',
    url: receiver.url,
    triggers: ['user.new'],
  })
  const test = async (key: string, user_id: number) => {
    const response = await at.request(`/api/webhooks/${webhook.id}/test`, {
      method: 'POST',
      headers: { authorization: 'Bearer an-admin-token-for-tests', 'idempotency-key': key },
      body: JSON.stringify({ user_id }),
    })
    return response.status
  }
  expect([await test('seven', 7), await test('eight', 8)]).toEqual([200, 200])
  expect((await forget('7')).json).toMatchObject({ attempts: 1, answers: 1 })
  expect([await test('seven', 7), await test('eight', 8)]).toEqual([409, 200])
  expect(receiver.arrivals).toHaveLength(2)
})

test('forgetting an unknown entity type is refused', async () => {
  const answer = await at.call('POST', '/api/forget', { entity_type: 'usr', entity_id: 7 })
  expect(answer.status).toBe(422)
  expect(answer.json.errors).toEqual([
    {
      pointer: '/entity_type',
      detail: expect.stringContaining('Did you mean user?'),
      code: 'entity.unknown',
    },
  ])
  // One that the mapping had once is stored still.
  await at.append('usr 7 new')
  const done = await at.call('POST', '/api/forget', { entity_type: 'usr', entity_id: 7 })
  expect(done).toMatchObject({ status: 200, json: { events: 1 } })
})

test('only an admin can forget an entity', async () => {
  for (const role of ['viewer', 'operator'] as const)
    expect((await forget('7', await at.token(role))).status).toBe(403)
})

test.each([
  ['all', [true, true]],
  ['failed', [false, true]],
  ['none', [false, false]],
])(
  'with log_bodies: %s, the log keeps these bodies of a success and a failure: %j',
  async (log_bodies, kept) => {
    const { json } = await at.call('POST', '/api/webhooks', {
      name: 'CRM',
      url: 'https://crm.example.com/',
      triggers: ['user.new'],
      log_bodies,
    })
    expect(json.log_bodies).toBe(log_bodies)
    const person = newPerson()
    await at.append(`user ${person} new`)
    const [lane] = await claim(at, json.id)
    const delivered = settlementOf(lane!)
    const response = answering(`got ${person}`)
    await settle(at, {
      ...delivered,
      next: { state: 'retry', waitMs: 0, costsAttempt: true },
      attempt: {
        ...delivered.attempt,
        outcome: 'refused',
        errorClass: 'http_error',
        errorMessage: 'x',
        response: { ...response, status: 500 },
      },
    })
    const [again] = await claim(at, json.id)
    await settle(at, {
      ...delivered,
      shipment: { ...delivered.shipment, deliveries: [again!] },
      attempt: { ...delivered.attempt, response },
    })
    const log = (await at.call('GET', `/api/webhooks/${json.id}/log`)).json.data
    const hasBodies = ({ request, response }: { request: { body: string }; response: { body: string } }) =>
      request.body !== '' && response.body !== ''
    expect(log.map(hasBodies)).toEqual(kept)
    expect(log.map((one: { bodies_kept: boolean }) => one.bodies_kept)).toEqual(kept)
    const changed = await at.call('PATCH', `/api/webhooks/${json.id}`, { log_bodies: 'none' })
    expect(changed.json.log_bodies).toBe('none')
  },
)

test("attempts kept beyond the log's days have no bodies", async () => {
  const id = await at.webhook(['user.new'])
  const person = newPerson()
  await at.append(`user ${person} new`)
  const [lane] = await claim(at, id)
  const settlement = settlementOf(lane!)
  await settle(at, { ...settlement, attempt: { ...settlement.attempt, response: answering('got it') } })
  await keepLastAttempts(at.outbox, 2n ** 62n)
  const { rows } = await at.outbox.pool.query(
    'select request_body, response_body, response_headers, has_bodies, status from walhook.kept_attempts where webhook_id = $1',
    [id],
  )
  expect(rows).toEqual([
    { request_body: null, response_body: null, response_headers: null, has_bodies: false, status: 200 },
  ])
})
