import { afterAll, beforeAll, expect, test } from 'vitest'
import { insertAttempts } from '../../src/outbox/settle/insert-attempts.ts'
import { openTestApi } from '../support/open-api.ts'
import { eventIds } from '../support/open-outbox.ts'
import { claim, resend, retry, settle, settlementOf } from '../support/sending.ts'

/** A webhook with a request of each kind; `at` names them by their place, from the oldest. */
let at: Awaited<ReturnType<typeof openTestApi>>
let id: number
let log: { id: string; started_at: string; event_id: string | null }[]

beforeAll(async () => {
  at = await openTestApi()
  id = await at.webhook(['user.new', 'user.update'])
  const send = async (change: Parameters<typeof settlementOf>[1] = {}) => {
    const [lane] = await claim(at, id, 1)
    const { attempt, ...rest } = settlementOf(lane!, change)
    const trigger = lane!.isManual ? 'manual' : 'schedule'
    await settle(at, { ...rest, attempt: { ...attempt, trigger } })
    return { ...attempt, trigger } as const
  }
  await at.append('user 1 new')
  await send() // 0: user 1, delivered
  await at.append('user 2 new')
  await send(retry(0)) // 1: user 2, unreachable
  await send() // 2: user 2, delivered
  await at.append('user 1 update')
  await send({ next: { state: 'dead' } }) // 3: user 1, unreachable
  await resend(at, { webhookId: id, eventId: (await eventIds(at)).at(-1)! })
  const attempt = await send() // 4: user 1, by hand, delivered
  await insertAttempts(at.outbox.pool, [
    {
      attempt: { ...attempt, trigger: 'test', eventId: null, actionType: 'test' },
      nextAttemptInMs: null,
      withPrevious: false,
      isBodyKept: true,
    },
  ]) // 5: a test with the data of user 1
  // Another webhook's requests are never in this log.
  const other = await at.webhook(['user.new', 'user.update'])
  await at.append('user 1 update')
  await settle(at, ...(await claim(at, other)).map(lane => settlementOf(lane)))
  log = (await at.call('GET', `/api/webhooks/${id}/log`)).json.data.reverse()
  // A second apart.
  for (const [i, one] of log.entries())
    await at.outbox.pool.query(
      `update walhook.attempts set started_at = started_at - interval '1 minute' + $1 * interval '1 second' where id = $2`,
      [i, one.id],
    )
  log = (await at.call('GET', `/api/webhooks/${id}/log`)).json.data.reverse()
})
afterAll(() => at[Symbol.asyncDispose]())

const positionsOf = (found: { id: string }[]) => found.map(one => log.findIndex(({ id }) => id === one.id))

test.each<[string, () => string, number[]]>([
  ['everything', () => '', [5, 4, 3, 2, 1, 0]],
  ['one outcome', () => 'outcome=unreachable', [3, 1]],
  ['several outcomes', () => 'outcome=unreachable,%20refused,blocked', [3, 1]],
  ['what was delivered', () => 'outcome=delivered', [5, 4, 2, 0]],
  ['by hand', () => 'trigger=manual', [4]],
  ['by hand and tests', () => 'trigger=manual,test', [5, 4]],
  ['an entity, its tests too', () => 'entity_type=user&entity_id=1', [5, 4, 3, 0]],
  ['an entity and an outcome', () => 'entity_type=user&entity_id=1&outcome=unreachable', [3]],
  ['an entity that there is not', () => 'entity_type=user&entity_id=9', []],
  ['another sort of entity', () => 'entity_type=company&entity_id=1', []],
  ['an event', () => `event_id=${log[3]!.event_id}`, [4, 3]],
  ['an event of another entity', () => `event_id=${log[3]!.event_id}&entity_type=user&entity_id=2`, []],
  ['an event that there is not', () => 'event_id=7', []],
  ['from a moment on', () => `from=${log[3]!.started_at}`, [5, 4, 3]],
  ['before a moment', () => `to=${log[3]!.started_at}`, [2, 1, 0]],
  ['between two moments', () => `from=${log[1]!.started_at}&to=${log[3]!.started_at}`, [2, 1]],
  [
    'in another time zone',
    () => `from=${encodeURIComponent(log[3]!.started_at.replace('Z', '+00:00'))}`,
    [5, 4, 3],
  ],
  ['long ago', () => 'to=1970-01-01T00:00:00Z', []],
  ['in a far future', () => 'from=2199-12-31T00:00:00Z', []],
])('%s', async (_what, query, places) => {
  const path = `/api/webhooks/${id}/log?${query()}`
  expect(positionsOf((await at.call('GET', path)).json.data)).toEqual(places)
  const inPages = []
  let cursor = ''
  do {
    const { json } = await at.call('GET', `${path}&limit=1${cursor}`)
    inPages.push(...json.data)
    cursor = `&cursor=${json.next_cursor}`
    if (json.next_cursor === null) break
  } while (inPages.length < 10)
  expect(positionsOf(inPages)).toEqual(places)
})

test('an attempt is found by its id only in the log of its webhook', async () => {
  const { status, json } = await at.call('GET', `/api/webhooks/${id}/log/${log[1]!.id}`)
  expect(status).toBe(200)
  expect(json).toEqual(log[1])
  expect((await at.call('GET', `/api/webhooks/${id + 1}/log/${log[1]!.id}`)).status).toBe(404)
  expect((await at.call('GET', `/api/webhooks/${id}/log/7`)).status).toBe(404)
})

test.each([
  'outcome=lost',
  'outcome=',
  'trigger=cron',
  'entity_type=user',
  'entity_id=1',
  'event_id=x',
  'from=yesterday',
  'from=2026-01-31T12:00:00',
  'from=9999-12-31T00:00:00Z',
  'to=0001-01-01T00:00:00Z',
  'from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z',
])('a log request with %s is refused with the expected form', async query => {
  const { status, json } = await at.call('GET', `/api/webhooks/${id}/log?${query}`)
  expect(status).toBe(422)
  expect(json.errors[0].detail.length).toBeGreaterThan(10)
})

test('the table of kept attempts has the columns of the log in the same order', async () => {
  const columnsOf = async (table: string) =>
    (
      await at.outbox.pool.query(
        `select attname, format_type(atttypid, atttypmod) as type from pg_attribute
         where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum`,
        [`walhook.${table}`],
      )
    ).rows
  expect(await columnsOf('kept_attempts')).toEqual(await columnsOf('attempts'))
})

test("a webhook's figures count its own deliveries, without tests", async () => {
  const { status, json } = await at.call('GET', `/api/webhooks/${id}/stats`)
  expect(status).toBe(200)
  const { last_24_hours: day, last_7_days: week } = json
  for (const span of [day, week])
    expect(span).toMatchObject({ delivered: 3, failed: 2, success_rate: 0.6, is_estimated: false })
  expect(day.p50_ms).toBeGreaterThanOrEqual(0)
  expect(day.buckets).toHaveLength(24)
  expect(week.buckets).toHaveLength(28)
  expect(day.buckets.at(-1)).toMatchObject({ delivered: 3, failed: 2 })
  // The event that the other webhook was sent is pending here.
  expect(json).toMatchObject({ pending: 1, pending_is_exact: true, oldest_pending_is_exact: true })
  expect(Math.abs(Date.parse(json.oldest_pending_at) - Date.now())).toBeLessThan(600_000)
  expect((await at.call('GET', '/api/webhooks/999999/stats')).status).toBe(404)
})
