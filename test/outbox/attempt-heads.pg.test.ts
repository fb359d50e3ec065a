import { expect, test } from 'vitest'
import type { Attempt } from '../../src/domain/delivery/attempt.ts'
import { pruneHeads } from '../../src/outbox/reading/attempt-head.ts'
import { openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { attemptsOf } from '../support/read-outbox.ts'
import { claim, settle, settlementOf } from '../support/sending.ts'

const everyUser = ['user.new', 'user.update', 'user.delete']

const headers = {
  'content-type': 'application/json',
  'user-agent': 'walhook/1',
  'x-key': '[redacted]',
  'x-empty': '',
}
const answer = { server: 'nginx', connection: 'keep-alive' }

const ownOf = (i: number) => ({
  'content-length': String(600 + i),
  'webhook-id': `msg_1_${i}`,
  'webhook-timestamp': String(1_700_000_000 + i),
  'webhook-signature': `v1,${i}= v1,before=`,
})

/** Sends what is due, one after the other, and returns the attempts, the newest first. */
async function send(at: TestOutbox, webhookId: number, changes: readonly Partial<Attempt>[]) {
  const sent: Attempt[] = []
  for (const [i, change] of changes.entries()) {
    await at.append(`user ${i} new`)
    const [delivery] = await claim(at, webhookId, 1)
    const settlement = settlementOf(delivery!)
    const { messageId } = settlement.attempt
    const own = { ...ownOf(i), 'webhook-id': messageId }
    const attempt: Attempt = {
      ...settlement.attempt,
      request: { ...settlement.attempt.request, headers: { ...headers, ...own } },
      response: {
        status: 200,
        headers: { ...answer, date: `${i}`, 'x-id': `${i}` },
        body: '',
        truncated: false,
      },
      phases: { dns: 0.123, first_byte: 29_999.123 },
      ...change,
    }
    await settle(at, { ...settlement, attempt })
    sent.unshift(attempt)
  }
  return sent
}

const logOf = (at: TestOutbox, webhookId: number) =>
  attemptsOf(at.outbox, { webhookId, limit: 100, before: null })

const readHeads = async (at: TestOutbox) =>
  (await at.outbox.pool.query('select *, xmin::text from walhook.attempt_heads order by url')).rows

test('common headers of attempts are stored once, and each attempt is shown completely', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  const changes: Partial<Attempt>[] = [
    {},
    {},
    { phases: {} },
    { phases: { dns: 1, connect: 2, tls: 3, first_byte: 4, body: 0 } },
    { messageId: 'msg_other' },
  ]
  const sent = await send(at, webhookId, changes)
  const [head, ...others] = await readHeads(at)
  expect(head).toMatchObject({
    url: 'https://crm.example.com/',
    request_headers: { ...headers, 'webhook-id': null, 'content-length': null },
    response_headers: answer,
  })
  // Of one that was sent under another id, the head says the id.
  expect(others.map(one => one.request_headers['webhook-id'])).toEqual([
    sent[0]!.request.headers['webhook-id'],
  ])
  const log = await logOf(at, webhookId)
  expect(log).toMatchObject(
    sent.map(({ request, response, messageId }) => ({
      request: { url: request.url },
      response,
      messageId,
    })),
  )
  expect(log.map(({ request, phases }) => [request.headers, phases])).toEqual(
    sent.map(({ request, phases }) => [request.headers, phases]),
  )
})

test.each<[string, Partial<Attempt>]>([
  ['another URL', { request: { url: 'https://other.example.com/', headers, body: '{}' } }],
  [
    'another value',
    {
      request: {
        url: 'https://crm.example.com/',
        headers: { ...headers, ...ownOf(1), 'x-key': '' },
        body: '{}',
      },
    },
  ],
  [
    'one header more',
    {
      request: {
        url: 'https://crm.example.com/',
        headers: { ...headers, ...ownOf(1), 'x-more': '' },
        body: '{}',
      },
    },
  ],
  [
    'one header less',
    {
      request: {
        url: 'https://crm.example.com/',
        headers: { 'content-type': 'application/json', ...ownOf(1) },
        body: '{}',
      },
    },
  ],
  [
    'another server',
    {
      response: {
        status: 200,
        headers: { ...answer, server: 'apache', date: '0' },
        body: '',
        truncated: false,
      },
    },
  ],
  ['no header at all', { request: { url: 'https://crm.example.com/', headers: {}, body: '{}' } }],
  [
    'a place in a trace',
    {
      request: {
        url: 'https://crm.example.com/',
        headers: { ...headers, traceparent: '00-a-b-01' },
        body: '{}',
      },
    },
  ],
  ['no answer', { response: null, outcome: 'unreachable', errorClass: 'timeout', errorMessage: 'Late.' }],
  [
    'an answer with odd names',
    {
      response: {
        status: 200,
        headers: JSON.parse('{"__proto__": "a", "constructor": "b", "server": "c"}'),
        body: '',
        truncated: false,
      },
    },
  ],
])('an attempt that differs has its own head: %s', async (_, change) => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  const sent = await send(at, webhookId, [{}, change, {}])
  expect(await readHeads(at)).toHaveLength(2)
  const shown = ({ request, response }: Attempt) =>
    JSON.stringify([request.url, sorted(request.headers), response && sorted(response.headers)])
  expect((await logOf(at, webhookId)).map(shown)).toEqual(sent.map(shown))
})

const sorted = (of: object) => Object.entries(of).sort(([a], [b]) => (a < b ? -1 : 1))

test('responses with equal or different header names keep their own values', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  const answers = [{ date: '1' }, { date: '1' }, { date: '2' }, { date: '2', age: '0' }, { age: '0' }, {}]
  const changes = answers.map(own => ({
    response: { status: 200, headers: { ...answer, ...own }, body: '', truncated: false },
  }))
  const sent = await send(at, webhookId, changes)
  expect(await readHeads(at)).toHaveLength(1)
  expect((await logOf(at, webhookId)).map(({ response }) => response!.headers)).toEqual(
    sent.map(({ response }) => response!.headers),
  )
})

test('a receiver with a different server header in each response has few stored heads, and each response is shown', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  const request = { url: 'https://many.example.com/', headers, body: '{}' }
  const changes = Array.from({ length: 30 }, (_, i) => ({
    request,
    response: {
      status: 200,
      headers: { server: `it ${i}`, 'content-type': 'text/plain', 'x-id': `${i}` },
      body: '',
      truncated: false,
    },
  }))
  const sent = await send(at, webhookId, changes)
  expect(await readHeads(at)).toHaveLength(9)
  expect((await logOf(at, webhookId)).map(({ response }) => response)).toEqual(
    sent.map(({ response }) => response),
  )
})

test('an attempt stored by the previous version is shown unchanged', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  const [eventId] = await at.append('user 1 new')
  await at.deliver(webhookId, eventId!)
  await at.outbox.pool.query(
    `update walhook.attempts set request_headers = '{"a": "b"}', response_headers = '{"server": "c"}', phases = '{"dns": 0.123456789}'`,
  )
  expect(await logOf(at, webhookId)).toMatchObject([
    {
      messageId: 'msg_1',
      request: { url: 'https://crm.example.com/', headers: { a: 'b' } },
      response: { headers: { server: 'c' } },
      phases: { dns: 0.123456789 },
    },
  ])
})

test('a head is written once a day, and deleted with its last attempt', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await send(at, webhookId, [{}])
  const written = await readHeads(at)
  await send(at, webhookId, [{}])
  expect(await readHeads(at)).toEqual(written)
  await at.outbox.pool.query(`update walhook.attempt_heads set used_until = now() + interval '23 hours'`)
  await send(at, webhookId, [{}])
  expect((await readHeads(at))[0].used_until >= written[0].used_until).toBe(true)

  const countAfter = async (statement: string) => {
    await at.outbox.pool.query(statement)
    await pruneHeads(at.outbox)
    return (await readHeads(at)).length
  }
  expect(
    await countAfter('delete from walhook.attempts where id < (select max(id) from walhook.attempts)'),
  ).toBe(1)
  expect(
    await countAfter(`update walhook.attempt_heads set used_until = clock_timestamp() - interval '1 ms'`),
  ).toBe(1)
  expect(
    await countAfter(
      'insert into walhook.kept_attempts select * from walhook.attempts; delete from walhook.attempts',
    ),
  ).toBe(1)
  expect((await logOf(at, webhookId))[0]!.request.headers).toMatchObject(headers)
  expect(await countAfter('delete from walhook.kept_attempts')).toBe(0)
})

test('two processes that store the same heads at once wait for each other, and both continue', async () => {
  await using at = await openTestOutbox()
  const webhooks = await Promise.all(Array.from({ length: 5 }, () => at.webhook(everyUser)))
  await at.append(...Array.from({ length: 20 }, (_, i) => `user ${i} new`))
  const settlements = (await Promise.all(webhooks.map(id => claim(at, id))))
    .flat()
    .map(each => settlementOf(each))
  await Promise.all([
    settle(at, ...settlements.filter((_, i) => i % 2 === 0)),
    settle(at, ...settlements.filter((_, i) => i % 2 === 1).reverse()),
  ])
  expect(await at.count('attempts', `outcome = 'delivered'`)).toBe(100)
  expect(await readHeads(at)).toHaveLength(5)
})
