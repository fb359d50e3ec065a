import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { spanUntil } from '../../src/domain/shown/traffic.ts'
import { firstIdAt } from '../../src/domain/value/time-id.ts'
import { readTraffic } from '../../src/outbox/figures/traffic.ts'
import { openTestOutbox } from '../support/open-outbox.ts'

let at: Awaited<ReturnType<typeof openTestOutbox>>
beforeAll(async () => {
  at = await openTestOutbox()
})
afterAll(() => at[Symbol.asyncDispose]())
beforeEach(async () => {
  await at.outbox.pool.query('delete from walhook.attempts')
})

const minuteMs = 60_000
// Not across midnight: days before yesterday have no partition here.
const span = spanUntil(Date.now(), minuteMs, 10)

let counter = 0
/** Requests of a webhook, spread evenly over a time. */
async function sent(
  webhookId: number,
  count: number,
  time: { fromMs: number; lastingMs: number },
  as: { outcome?: string; trigger?: string } = {},
): Promise<void> {
  const { outcome = 'delivered', trigger = 'schedule' } = as
  await at.outbox.pool.query(
    `insert into walhook.attempts (webhook_id, id, trigger, event_id, request_body, message_id, entity_type, entity_id,
       action_type, number, url, request_headers, started_at, duration_ms, status, outcome, error_class, error_message)
     select $1, $2::bigint + ((i * $3::bigint / $4) << 20) + $7 + i, $5, case when $5 <> 'test' then i end,
       case when $5 = 'test' then '' end, 'msg', 'user', '1', case when $5 = 'test' then 'test' else 'new' end, 1, 'https://example.com/', '{}',
       now(), 1, case $6 when 'delivered' then 204 when 'refused' then 500 end, $6,
       case when $6 not in ('delivered', 'cancelled') then 'http_error' end,
       case when $6 not in ('delivered', 'cancelled') then 'no' end
     from generate_series(0, $4 - 1) as i`,
    [webhookId, firstIdAt(time.fromMs), time.lastingMs, count, trigger, outcome, counter],
  )
  counter += count
}

const minute = (i: number) => ({ fromMs: span.fromMs + i * minuteMs, lastingMs: minuteMs })

test('few requests of all webhooks are counted exactly', async () => {
  const [crm, erp] = [await at.webhook(['user.new']), await at.webhook(['user.new'], false)]
  await at.webhook(['user.new'])
  await sent(crm, 5, minute(0))
  await sent(crm, 2, minute(0), { outcome: 'refused' })
  await sent(erp, 3, minute(0), { outcome: 'unreachable' })
  await sent(erp, 4, minute(9))
  // Not in these minutes, no delivery, or nothing that a receiver did.
  await sent(crm, 7, minute(-1))
  await sent(crm, 7, minute(10))
  await sent(crm, 7, minute(5), { trigger: 'test' })
  await sent(crm, 7, minute(5), { outcome: 'cancelled' })
  const none = { delivered: 0, failed: 0 }
  expect(await readTraffic(at.outbox, span)).toEqual({
    fromMs: span.fromMs,
    bucketMs: minuteMs,
    share: 1,
    buckets: [{ delivered: 5, failed: 5 }, ...Array(8).fill(none), { delivered: 4, failed: 0 }],
  })
})

test('a sample of many requests estimates their number and their failures', async () => {
  const [crm, erp] = [await at.webhook(['user.new']), await at.webhook(['user.new'])]
  const all = { fromMs: span.fromMs, lastingMs: 10 * minuteMs }
  await sent(crm, 60_000, all)
  await sent(erp, 20_000, all, { outcome: 'refused' })
  const { share, buckets } = await readTraffic(at.outbox, span)
  expect(share).toBeLessThan(1)
  for (const { delivered, failed } of buckets) {
    expect(Math.abs(delivered - 6_000)).toBeLessThan(600)
    expect(Math.abs(failed - 2_000)).toBeLessThan(200)
  }
})

test('a burst of requests neither raises the cost nor hides other requests', async () => {
  const crm = await at.webhook(['user.new'])
  await sent(crm, 3_000, { fromMs: span.fromMs, lastingMs: 10 * minuteMs })
  await sent(crm, 50_000, { fromMs: span.fromMs + 5 * minuteMs, lastingMs: 2 * minuteMs })
  const { share, buckets } = await readTraffic(at.outbox, span)
  expect(share).toBeLessThan(1)
  for (const i of [0, 4, 7, 9]) expect(buckets[i]!.delivered, String(i)).toBeGreaterThan(0)
  expect(buckets[5]!.delivered).toBeGreaterThan(20_000)
})

test('without a webhook the traffic is zero', async () => {
  await at.outbox.pool.query('delete from walhook.webhooks')
  const { buckets, share } = await readTraffic(at.outbox, span)
  expect(share).toBe(1)
  expect(buckets).toHaveLength(10)
})
