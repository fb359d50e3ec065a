import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { type Arrival, startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

const idsIn = ({ body }: Arrival) =>
  (JSON.parse(body) as { entity_id: number }[]).map(event => event.entity_id)

test('a batch is one signed request; killed while it is in flight, walhook sends the same one again', async () => {
  await using database = await createTestDatabase()
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
  // As if the lease had ended: nobody else has the lanes.
  await psql.query('update walhook.lanes set due_at = now() where lease is not null')
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
