import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { spanWithNow } from '../../src/domain/shown/traffic.ts'
import { firstIdAt } from '../../src/domain/value/time-id.ts'
import { readOldestPending } from '../../src/outbox/figures/oldest-pending.ts'
import { readPerformance } from '../../src/outbox/figures/performance.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { countRows } from '../support/row-counter.ts'
import { retry, settleAll } from '../support/sending.ts'

let at: Awaited<ReturnType<typeof openTestOutbox>>
beforeAll(async () => {
  at = await openTestOutbox()
})
afterAll(() => at[Symbol.asyncDispose]())
beforeEach(async () => {
  for (const table of ['attempts', 'events', 'webhooks', 'deliveries', 'streams'])
    await at.outbox.pool.query(`delete from walhook.${table}`)
})

const minuteMs = 60_000
const span = spanWithNow(Date.now(), minuteMs, 60)
const nobody = { delivered: 0, failed: 0, p50Ms: null, p95Ms: null }

let counter = 0
/** Requests of a webhook, spread evenly over some minutes from the minute `minute` on; each takes a ms longer than the one before. */
async function sent(
  webhookId: number,
  count: number,
  { minute, minutes = 1 }: { minute: number; minutes?: number },
  as: { status?: number | null; outcome?: string; trigger?: string; fromMs?: number } = {},
): Promise<void> {
  const { status = 204, outcome = 'delivered', trigger = 'schedule', fromMs = 1 } = as
  await at.outbox.pool.query(
    `insert into walhook.attempts (webhook_id, id, trigger, event_id, request_body, message_id, entity_type, entity_id,
       action_type, number, url, request_headers, started_at, duration_ms, status, outcome, error_class, error_message)
     select $1, $2::bigint + ((i * $3::bigint / $4) << 20) + $7 + i, $5, case when $5 <> 'test' then i end,
       case when $5 = 'test' then '' end, 'msg', 'user', '1', case when $5 = 'test' then 'test' else 'new' end, 1, 'https://example.com/', '{}',
       now(), $9 + i % 1000, $8, $6,
       case when $6 not in ('delivered', 'cancelled') then 'http_error' end,
       case when $6 not in ('delivered', 'cancelled') then 'no' end
     from generate_series(0, $4 - 1) as i`,
    [
      webhookId,
      firstIdAt(span.fromMs + minute * minuteMs),
      minutes * minuteMs,
      count,
      trigger,
      outcome,
      counter,
      status,
      fromMs,
    ],
  )
  counter += count
}

test('the figures of few requests are exact, for one webhook and its receiver', async () => {
  const [crm, other] = [await at.webhook(['user.new']), await at.webhook(['user.new'])]
  await sent(crm, 3, { minute: 0 })
  await sent(crm, 1, { minute: 0 }, { outcome: 'refused', status: 500, fromMs: 100 })
  // No answer came: it is a failure, and says nothing of how long an answer takes.
  await sent(crm, 1, { minute: 59 }, { outcome: 'unreachable', status: null, fromMs: 15_000 })
  await sent(other, 9, { minute: 0 })
  await sent(crm, 9, { minute: 0 }, { trigger: 'test' })
  await sent(crm, 9, { minute: 0 }, { outcome: 'cancelled', status: null })
  await sent(crm, 9, { minute: -1 })
  const found = await readPerformance(at.outbox, crm, span)
  expect(found).toMatchObject({ delivered: 3, failed: 2, p50Ms: 2.5, share: 1 })
  expect(found.buckets).toHaveLength(60)
  expect(found.buckets[0]).toMatchObject({ delivered: 3, failed: 1, p50Ms: 2.5 })
  expect(found.buckets[0]!.p95Ms).toBeCloseTo(85.45)
  expect(found.buckets[1]).toEqual(nobody)
  expect(found.buckets[59]).toEqual({ ...nobody, failed: 1 })
})

test('the outcomes of many requests are estimated from a sample, evenly spread or in a burst', async () => {
  const crm = await at.webhook(['user.new'])
  await sent(crm, 30_000, { minute: 0, minutes: 60 })
  await sent(crm, 10_000, { minute: 0, minutes: 60 }, { outcome: 'refused', status: 500 })
  await sent(crm, 60_000, { minute: 30, minutes: 3 })
  const found = await readPerformance(at.outbox, crm, span)
  const about = (value: number, wanted: number) => expect(Math.abs(value / wanted - 1)).toBeLessThan(0.15)
  expect(found.share).toBeLessThan(1)
  about(found.delivered, 90_000)
  about(found.failed, 10_000)
  about(found.p50Ms!, 500)
  about(found.p95Ms!, 950)
  about(
    found.buckets.slice(30, 33).reduce((sum, { delivered }) => sum + delivered, 0),
    61_500,
  )
})

test('a bounded number of a hundred thousand requests is read under any statistics', async () => {
  const crm = await at.webhook(['user.new'])
  await at.outbox.pool.query('analyze walhook.attempts')
  await sent(crm, 100_000, { minute: 0, minutes: 60 })
  for (const analyze of [false, true]) {
    if (analyze) await at.outbox.pool.query('analyze walhook.attempts')
    const { outbox, rows } = countRows(at.outbox)
    await readPerformance(outbox, crm, span)
    const [read] = [...rows].map(([, count]) => count)
    expect(read, String(analyze)).toBeLessThan(200_000)
  }
})

test('the oldest pending event is found in rows and log; an unwanted event does not count', async () => {
  const [crm, idle] = [await at.webhook(['user.new']), await at.webhook(['company.new'])]
  expect(await readOldestPending(at.outbox, crm)).toEqual({ eventId: null, isExact: true })
  await at.append('user 1 new')
  await settleAll(at, crm)
  expect(await readOldestPending(at.outbox, crm)).toEqual({ eventId: null, isExact: true })
  const [second] = await at.append('user 2 new')
  await at.append('user 3 new')
  expect(await readOldestPending(at.outbox, crm)).toEqual({ eventId: second, isExact: true })
  await settleAll(at, crm, retry(60_000))
  await at.append('user 4 new')
  expect(await readOldestPending(at.outbox, crm)).toEqual({ eventId: second, isExact: true })
  expect(await readOldestPending(at.outbox, idle)).toEqual({ eventId: null, isExact: true })
})
