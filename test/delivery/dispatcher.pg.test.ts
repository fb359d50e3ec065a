import { expect, test } from 'vitest'
import { openSender } from '../../src/delivery/sending/attempt.ts'
import { createDeliver } from '../../src/delivery/sending/deliver.ts'
import { createGuard } from '../../src/delivery/sending/guard.ts'
import { createDispatcher } from '../../src/delivery/turn/dispatcher.ts'
import { parseSealKey, seal } from '../../src/domain/webhook/seal.ts'
import { formatSecret } from '../../src/domain/webhook/signature.ts'
import { parseTargetList } from '../../src/domain/webhook/target-list.ts'
import { unboundPurpose } from '../../src/domain/webhook/webhook-secrets.ts'
import { openClock } from '../../src/outbox/database/clock.ts'
import { findWebhook, insertWebhook, updateWebhook } from '../../src/outbox/records/webhooks.ts'
import type { Settlement } from '../../src/outbox/settle/settle.ts'
import { silentLog } from '../../src/runtime/log.ts'
import { connect } from '../support/connect.ts'
import {
  type Entry,
  type FaultyReceiver,
  type Reaction,
  startFaultyReceiver,
} from '../support/faulty-receiver.ts'
import { setHostClock } from '../support/host-clock.ts'
import { openTestOutbox, waiters } from '../support/open-outbox.ts'
import { until } from '../support/wait.ts'

const sealKey = parseSealKey(Buffer.alloc(32, 1).toString('base64'))!
const secret = seal(sealKey, unboundPurpose, formatSecret(Buffer.alloc(32, 2)), Buffer.alloc(12, 3))

/** A dispatcher in this process, on an outbox of its own, with receivers that do as `react` says. */
async function openDelivery(
  react: (entry: Pick<Entry, 'path' | 'lane' | 'body'>, earlier: number) => Reaction,
  options: { deadlineMs?: number; max?: number; total?: number; scheduleMs?: number[] } = {},
) {
  const { deadlineMs = 15_000, max = 100, total = 500, scheduleMs = [60_000, 60_000] } = options
  const at = await openTestOutbox()
  const receiver = await startFaultyReceiver(react)
  const allow = parseTargetList('127.0.0.1')
  if (!allow.ok) throw new Error('the allow list is wrong')
  const sender = openSender({
    guard: createGuard({ allow: allow.list }),
    deadlineMs,
    connectTimeoutMs: deadlineMs,
    maxResponseBytes: 1_024,
  })
  const settled: Settlement[] = []
  // As a process has it.
  const { nowMs } = await openClock(at.outbox)
  const dispatcher = createDispatcher({
    outbox: at.outbox,
    deliver: createDeliver({ post: sender.post, sealKey, userAgent: 'walhook/0.0.0', nowMs }),
    scheduleMs,
    maxInFlightPerWebhook: max,
    maxInFlight: total,
    deadlineMs,
    drainMs: 0,
    nowMs,
    random: Math.random,
    log: silentLog,
    onSettled: settlements => settled.push(...settlements),
  })
  const stop = new AbortController()
  let running: Promise<void> | null = null
  const settledOf = (webhookId: number) => settled.filter(({ shipment }) => shipment.webhookId === webhookId)
  return {
    ...at,
    receiver,
    dispatcher,
    settledOf,
    async webhookAt(path: string, url = receiver.url(path)) {
      const input = {
        name: path,
        url,
        isActive: true,
        triggers: ['user.new', 'user.update'] as never,
        secret,
      }
      return (await insertWebhook(at.outbox, input)).id
    },
    users: (count: number, first = 1) =>
      at.append(...Array.from({ length: count }, (_, i) => `user ${first + i} new`)),
    start() {
      running = dispatcher.run(stop.signal)
    },
    settledCount: (webhookId: number, count: number) =>
      until(() => settledOf(webhookId).length >= count, { what: `${count} settlements` }),
    async stop() {
      stop.abort()
      await running
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
      await sender.close()
      await receiver[Symbol.asyncDispose]()
      await at[Symbol.asyncDispose]()
    },
  }
}
type Delivery = Awaited<ReturnType<typeof openDelivery>>

const came = (receiver: FaultyReceiver, path: string) =>
  receiver.account.filter(entry => entry.path === path).length

test('a machine that was suspended sends nothing of its memory before the outbox has answered', async () => {
  let hasAnswered = false
  const sentAfter: boolean[] = []
  await using at = await openDelivery(
    () => {
      sentAfter.push(hasAnswered)
      return sentAfter.length === 1 ? { delayMs: 500 } : {}
    },
    { max: 1 },
  )
  const id = await at.webhookAt('/crm')
  await at.users(2)
  at.start()
  await until(() => sentAfter.length === 1, { what: 'the first request' })
  await using psql = await connect(at.database.url)
  await psql.query('begin; select from walhook.holders for update')
  // The monotonic clock stood still meanwhile.
  using _clock = setHostClock(60_000)
  await at.settledCount(id, 1)
  await until(async () => (await waiters(at)) > 0, { what: 'the renewal to wait' })
  hasAnswered = true
  await psql.query('commit')
  await at.settledCount(id, 2)
  expect(sentAfter).toEqual([false, true])
})

test('five hanging webhooks leave capacity to healthy ones', async () => {
  const hanging = ['/h1', '/h2', '/h3', '/h4', '/h5']
  await using at = await openDelivery(
    ({ path }) => (hanging.includes(path) ? { fault: 'hang' } : { delayMs: 10 }),
    {
      total: 50,
    },
  )
  const ids = []
  for (const path of hanging) ids.push(await at.webhookAt(path))
  await at.users(50)
  at.start()
  // They take what they get; then the healthy one comes.
  await until(() => hanging.every(path => came(at.receiver, path) > 0), { what: 'all to hang' })
  const healthy = await at.webhookAt('/healthy')
  await at.users(300, 100)
  at.dispatcher.wake(null)
  await at.settledCount(healthy, 300)
  expect(at.settledOf(healthy).every(({ attempt }) => attempt.outcome === 'delivered')).toBe(true)
  expect(ids.flatMap(at.settledOf)).toEqual([])
  expect(at.receiver.maxOpen('/healthy')).toBeGreaterThan(1)
})

test('failing, slow, hanging and healthy webhooks together each get the right events', async () => {
  await using at = await openDelivery(
    ({ path, body }, earlier) => {
      if (path === '/hangs') return { fault: 'hang' }
      if (path === '/slow') return { delayMs: 100 }
      if (path === '/fails') return { status: 500, delayMs: 20 }
      // Every tenth entity of the healthy one fails once; it holds back only itself.
      return body.entity_id % 10 === 0 && earlier === 0 ? { status: 404 } : {}
    },
    { deadlineMs: 3_000, scheduleMs: [200, 60_000] },
  )
  const [healthy, slow, fails, hangs] = [
    await at.webhookAt('/healthy'),
    await at.webhookAt('/slow'),
    await at.webhookAt('/fails'),
    await at.webhookAt('/hangs'),
  ]
  await at.users(100)
  at.start()
  await at.settledCount(healthy, 110)
  await at.settledCount(slow, 100)
  await at.settledCount(fails, 200)
  await at.settledCount(hangs, 2)
  const outcomes = (id: number) => new Set(at.settledOf(id).map(({ attempt }) => attempt.outcome))
  expect(outcomes(slow)).toEqual(new Set(['delivered']))
  expect(outcomes(fails)).toEqual(new Set(['refused']))
  expect(outcomes(hangs)).toEqual(new Set(['unreachable']))
  expect((await at.queue()).filter(line => line.startsWith(`${healthy} `))).toEqual([])
  expect(await findWebhook(at.outbox, healthy)).toMatchObject({ failingSince: null })
  expect(await findWebhook(at.outbox, fails)).toMatchObject({ failingSince: expect.any(Date) })
  // Entities that fail do not slow the webhook as a whole; no answer at all does, to one.
  expect(at.receiver.maxOpen('/fails')).toBeGreaterThan(1)
  await until(() => at.receiver.open('/hangs') <= 1, { what: 'one request at a time' })
})

test('a webhook that refuses connections gets ten requests, then one at a time with pauses', async () => {
  await using at = await openDelivery(() => ({}))
  const nobody = await at.webhookAt('/', 'http://127.0.0.1:1/')
  await at.users(500)
  at.start()
  await at.settledCount(nobody, 10)
  await at.settledCount(nobody, 12)
  const startedAt = at.settledOf(nobody).map(({ attempt }) => attempt.startedAt.getTime())
  expect(startedAt.filter(ms => ms - startedAt[0]! < 900).length).toBeLessThanOrEqual(10)
  expect(startedAt[11]! - startedAt[10]!).toBeGreaterThan(1_900)
  expect(await findWebhook(at.outbox, nobody)).toMatchObject({ failingSince: expect.any(Date) })
})

test('429 with Retry-After holds the whole webhook back, and no other; another URL ends the hold', async () => {
  await using at = await openDelivery(({ path }) =>
    path === '/busy' ? { status: 429, headers: { 'retry-after': '3600' } } : { delayMs: 5 },
  )
  const [busy, healthy] = [await at.webhookAt('/busy'), await at.webhookAt('/healthy')]
  await at.users(200)
  at.start()
  await at.settledCount(healthy, 200)
  const { heldUntil } = (await findWebhook(at.outbox, busy))!
  expect(heldUntil!.getTime() - Date.now()).toBeGreaterThan(3_500_000)
  expect(came(at.receiver, '/busy')).toBeLessThanOrEqual(10)
  await updateWebhook(at.outbox, busy, { url: at.receiver.url('/mended') })
  at.dispatcher.wake(null)
  // Those that were refused wait for themselves.
  await until(() => came(at.receiver, '/mended') === 200 - came(at.receiver, '/busy'), { what: 'the others' })
})

test('a receiver with a limit of five gets its backlog with few refusals', async () => {
  const capacity = 5
  let open = 0
  await using at = await openDelivery(
    () => {
      if (open >= capacity) return { status: 503 }
      open++
      setTimeout(() => open--, 10)
      return { delayMs: 10 }
    },
    { scheduleMs: Array(50).fill(50) },
  )
  const webhook = await at.webhookAt('/small')
  await at.users(600)
  at.start()
  const delivered = () => at.settledOf(webhook).filter(({ next }) => next.state === 'done').length
  await until(() => delivered() === 600, { what: 'the whole backlog' })
  expect(at.settledOf(webhook).length - delivered()).toBeLessThan(200)
  expect(await at.queue()).toEqual([])
})

test('410 disables the webhook and stops its requests; other refusals do not', async () => {
  const events = 30
  await using at = await openDelivery(
    ({ path }) => (path === '/gone' ? { status: 410, delayMs: 100 } : { status: 404 }),
    { max: 1 },
  )
  const [gone, wrong] = [await at.webhookAt('/gone'), await at.webhookAt('/wrong')]
  await at.users(events)
  at.start()
  await at.settledCount(wrong, events)
  await at.settledCount(gone, 1)
  const reason = { disabledReason: expect.stringContaining('410 Gone') }
  expect(await findWebhook(at.outbox, gone)).toMatchObject(reason)
  expect(await findWebhook(at.outbox, wrong)).toMatchObject({ disabledAt: null })
  // What is on its way when the first answer is settled, and in the moment in which a webhook is not asked about anew.
  await until(() => at.settledOf(gone).length === came(at.receiver, '/gone'), { what: 'quiet' })
  expect(came(at.receiver, '/gone')).toBeLessThan(events / 2)
})

test('with less capacity than webhooks, the webhooks take turns', async () => {
  await using at = await openDelivery(() => ({}), { total: 1 })
  const [first, second] = [await at.webhookAt('/1'), await at.webhookAt('/2')]
  await at.users(20)
  at.start()
  await at.settledCount(first, 20)
  await at.settledCount(second, 20)
  const paths = at.receiver.account.map(({ path }) => path)
  expect(new Set(paths.slice(0, 20)).size).toBe(2)
})

test('an event appended behind one in flight is sent right after its settlement', async () => {
  await using at = await openDelivery(({ body }) => (body.action_type === 'new' ? { delayMs: 50 } : {}))
  const webhook = await at.webhookAt('/crm')
  await at.append('user 1 new')
  at.start()
  await until(() => came(at.receiver, '/crm') === 1, { what: 'the first' })
  await at.append('user 1 update')
  await at.append('user 1 update')
  at.dispatcher.wake(null)
  await at.settledCount(webhook, 3)
  expect(at.receiver.account.map(({ body }) => body.action_type)).toEqual(['new', 'update', 'update'])
  const [first, second] = at.receiver.account
  expect(second!.arrivedAtMs).toBeGreaterThan(first!.answeredAtMs!)
})

test.each<[string, (at: Delivery, id: number) => Promise<unknown>, string[]]>([
  ['deactivated', (at, id) => updateWebhook(at.outbox, id, { isActive: false }), ['/crm', '/crm']],
  [
    'given another URL',
    (at, id) => updateWebhook(at.outbox, id, { url: at.receiver.url('/new') }),
    ['/crm', '/crm', '/new', '/new'],
  ],
])(
  'when a webhook is %s, requests in flight settle, and nothing wrong is sent',
  async (_what, change, paths) => {
    await using at = await openDelivery(({ path }) => (path === '/crm' ? { delayMs: 300 } : {}))
    const webhook = await at.webhookAt('/crm')
    await at.append('user 1 new', 'user 2 new')
    await at.append('user 1 update', 'user 2 update')
    at.start()
    await until(() => came(at.receiver, '/crm') === 2, { what: 'two in flight' })
    await change(at, webhook)
    await at.settledCount(webhook, paths.length)
    // A turn that was to send more would have been woken by the settlement; another webhook's delivery comes after it.
    const witness = await at.webhookAt('/witness')
    await at.append('user 3 new')
    at.dispatcher.wake(null)
    await at.settledCount(witness, 1)
    expect(
      at.receiver.account
        .filter(({ path, body }) => path !== '/witness' && body.entity_id < 3)
        .map(({ path }) => path),
    ).toEqual(paths)
  },
)

test('wake-ups during the wait for a batch cause few queries, and a full batch is sent at once', async () => {
  await using at = await openDelivery(() => ({ delayMs: 0 }))
  const webhookId = await at.webhookAt('/batch')
  await updateWebhook(at.outbox, webhookId, { batch: { maxEvents: 100, maxWaitMs: 60_000 } })
  // A look that takes long: the more are waiting, the longer it takes.
  let looks = 0
  const { query } = at.outbox.pool
  at.outbox.pool.query = (async (...args: [never]) => {
    const answer = await (query as (...args: unknown[]) => Promise<unknown>).apply(at.outbox.pool, args)
    if ((args[0] as { name?: string }).name === 'what_waits_for_a_batch') {
      looks++
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    return answer
  }) as never
  await at.users(99)
  at.dispatcher.wake(null)
  at.start()
  const beganMs = performance.now()
  const waking = setInterval(() => at.dispatcher.wake(null), 1)
  await until(() => looks === 5, { what: 'five looks', intervalMs: 1 })
  // Each took 20 ms, and was followed by a rest of at least 60.
  expect(performance.now() - beganMs).toBeGreaterThan(4 * 80)
  clearInterval(waking)
  await at.users(1, 100)
  at.dispatcher.wake(null)
  const [settlement] = await until(() => at.settledOf(webhookId).length === 1 && at.settledOf(webhookId), {
    what: 'the batch',
  })
  expect(settlement!.shipment.deliveries).toHaveLength(100)
})

test('a row that a settlement makes due is sent without polling', async () => {
  await using at = await openDelivery(() => ({}))
  const id = await at.webhookAt('/')
  at.start()
  await at.append('user 1 new', ...Array.from({ length: 30 }, () => 'user 1 update'))
  at.dispatcher.wake(null)
  await at.settledCount(id, 31)
})

test('after an outage of seconds, no event waits for its second retry', async () => {
  let isDown = true
  await using at = await openDelivery(() => ({ status: isDown ? 500 : 204 }), {
    scheduleMs: [100, 300_000, 1_800_000, 7_200_000],
  })
  const webhook = await at.webhookAt('/back')
  await at.users(20)
  at.start()
  // Each has had its first retry, and the next one is minutes off.
  await at.settledCount(webhook, 40)
  const failedAtMs = performance.now()
  await until(() => performance.now() - failedAtMs > 2_000, { what: 'the outage to last' })
  isDown = false
  await at.users(1, 100)
  at.dispatcher.wake(null)
  await until(async () => (await at.queue()).length === 0, { what: 'all to be delivered' })
  expect(at.settledOf(webhook).filter(({ attempt }) => attempt.outcome === 'delivered')).toHaveLength(21)
})

test('when Retry-After ends, refused events are retried at once, also the second time', async () => {
  let isDown = true
  await using at = await openDelivery(
    () => (isDown ? { status: 503, headers: { 'retry-after': '1' } } : { status: 204 }),
    { scheduleMs: [100, 300_000] },
  )
  const webhook = await at.webhookAt('/soon')
  await at.users(3)
  at.start()
  await at.settledCount(webhook, 6)
  isDown = false
  await until(async () => (await at.queue()).length === 0, { what: 'all to be delivered' })
})
