import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { type Arrival, startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

const idsIn = ({ body }: Arrival) =>
  (JSON.parse(body) as { entity_id: number }[]).map(event => event.entity_id)

test('a batch is one signed request, and is resent unchanged after a kill', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  const answers: PromiseWithResolvers<number>[] = []
  await using receiver = await startTestReceiver(() => {
    const answer = Promise.withResolvers<number>()
    answers.push(answer)
    return answer.promise
  })
  await using psql = await connect(database.url)
  await psql.query(
    'create table users (id int primary key, name text); create table companies (id int primary key)',
  )
  const first = startWalhook(database)
  await first.ready()
  const { secret } = await first.api('POST', '/api/webhooks', {
    name: 'CRM',
    url: receiver.url,
    triggers: ['user.new', 'user.update'],
    batch: { max_events: 10, max_wait_ms: 60_000 },
  })
  await psql.query(`insert into users select n, 'name' from generate_series(1, 12) n`)
  // The eleventh and the twelfth wait for company.
  await until(() => receiver.arrivals.length === 1, { what: 'the full batch' })
  expect(idsIn(receiver.arrivals[0]!)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  first.kill('SIGKILL')
  await first.exited
  await psql.query(`update users set name = 'other' where id = 1`)
  // As if nothing that it sent could be under way any more.
  await psql.query('update walhook.holders set alive_until = now()')
  await using second = startWalhook(database)
  await second.ready()
  await until(() => receiver.arrivals.length >= 2, { what: 'the batch again' })
  const [before, again] = receiver.arrivals as [Arrival, Arrival]
  expect([again.messageId, again.body]).toEqual([before.messageId, before.body])
  const headers = again.headers as Record<string, string>
  expect(() => new Webhook(String(secret)).verify(again.body, headers)).not.toThrow()
  answers[1]!.resolve(204)
  await psql.query(`insert into users select n, 'name' from generate_series(13, 19) n`)
  await until(() => receiver.arrivals.length === 3, { what: 'what has waited, with enough company' })
  expect(idsIn(receiver.arrivals[2]!)).toEqual([11, 12, 1, 13, 14, 15, 16, 17, 18, 19])
  answers[2]!.resolve(204)
  const [last] = await until(
    async () => {
      const { data } = (await second.api('GET', '/api/webhooks/1/log')) as { data: Record<string, unknown>[] }
      return data.length === 2 && data
    },
    { what: 'both requests in the log' },
  )
  const { body } = receiver.arrivals[2]!
  expect(last).toMatchObject({ outcome: 'delivered', event_id: null, entity_id: null, request: { body } })
  expect(last!.event_ids).toHaveLength(10)
})

const users = 40
const bad = 13

test('two processes, three SIGKILLs, random refusals and one rejected event: all other events arrive in order', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  const accepted = new Set<string>()
  const bodies = new Map<string, string>()
  const newest = new Map<number, number>()
  const problems: string[] = []
  await using receiver = await startTestReceiver(async ({ messageId, body }) => {
    if ((bodies.get(messageId) ?? body) !== body) problems.push(`${messageId} has another body`)
    bodies.set(messageId, body)
    await new Promise(resolve => setTimeout(resolve, 10 * Math.random()))
    if (accepted.has(messageId)) return 204
    const events = JSON.parse(body) as { entity_id: number; result: { version: number } }[]
    if (events.some(({ entity_id }) => entity_id === bad)) return 422
    if (Math.random() < 0.15) return 500
    accepted.add(messageId)
    for (const { entity_id, result } of events) {
      if (result.version <= (newest.get(entity_id) ?? -1)) problems.push(`${entity_id} goes back`)
      newest.set(entity_id, result.version)
    }
    return 204
  })
  await using psql = await connect(database.url)
  await psql.query('create table users (id int primary key, version int); create table companies (id int)')
  await psql.query('alter table companies add primary key (id)')
  const settings = { WALHOOK_RETRY_SCHEDULE: Array(50).fill('1s').join(',') }
  let walhook = [startWalhook(database, settings), startWalhook(database, settings)]
  try {
    await Promise.all(walhook.map(each => each.ready()))
    await walhook[0]!.api('POST', '/api/webhooks', {
      name: 'CRM',
      url: receiver.url,
      triggers: ['user.new', 'user.update'],
      batch: { max_events: 8, max_wait_ms: 20 },
    })
    await psql.query('insert into users select n, 0 from generate_series(1, $1) n', [users])
    const versions = 60
    for (let version = 1; version <= versions; version++) {
      await psql.query('update users set version = $1 where id % 3 = $1 % 3 or id % 7 = $1 % 7', [version])
      if (version % 20 > 0) continue
      await until(() => accepted.size > 0, { what: 'the load to run' })
      walhook[0]!.kill('SIGKILL')
      await walhook[0]!.exited
      walhook = [walhook[1]!, startWalhook(database, settings)]
    }
    const { rows } = await psql.query('select id, version from users where id <> $1', [bad])
    await until(() => rows.every(({ id, version }) => newest.get(id) === version), {
      what: 'every other user to have arrived',
      // The leases of killed processes end by themselves.
      timeoutMs: 150_000,
    })
    expect(problems).toEqual([])
    // Only the lane of the bad event is left.
    const left = await until(
      async () => {
        const found = await psql.query('select distinct entity_id from walhook.deliveries')
        return found.rows.length === 1 && found.rows
      },
      { what: 'the settlements' },
    )
    expect(left).toEqual([{ entity_id: String(bad) }])
    for (const each of walhook) expect(each.stderr()).toBe('')
  } finally {
    for (const each of walhook) await each[Symbol.asyncDispose]()
  }
}, 240_000)
