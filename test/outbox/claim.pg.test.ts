import { expect, test } from 'vitest'
import { busyWebhooks } from '../../src/outbox/busy.ts'
import { release } from '../../src/outbox/lanes.ts'
import { updateWebhook } from '../../src/outbox/webhooks.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { holdUp, untilWaiting } from '../support/outbox-traffic.ts'
import { until } from '../support/wait.ts'

const story = (lanes: readonly { entityId: string; actionType: string }[]) =>
  lanes.map(({ entityId, actionType }) => `${entityId} ${actionType}`).sort()

test('a claim leases lanes of one webhook, each with its oldest delivery, and no more than asked for', async () => {
  await using at = await openTestOutbox()
  const [one, two] = [await at.webhook(['user.new', 'user.update']), await at.webhook(['user.new'])]
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  await at.append('user 1 update')
  const first = await at.claim(one, 2)
  expect(story(first)).toEqual(['1 new', '2 new'])
  expect(first[0]).toMatchObject({
    webhookId: one,
    entityType: 'user',
    attempts: 0,
    body: expect.any(String),
  })
  expect(story(await at.claim(one))).toEqual(['3 new'])
  expect(await at.claim(one)).toEqual([])
  expect(story(await at.claim(two))).toEqual(['1 new', '2 new', '3 new'])
})

test('claims that run at once never lease the same lane', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(['user.new'])
  await at.append(...Array.from({ length: 300 }, (_, i) => `user ${i} new`))
  const claims = await Promise.all(Array.from({ length: 8 }, () => at.claim(webhook, 60)))
  const ids = claims.flat().map(({ entityId }) => entityId)
  expect(ids).toHaveLength(300)
  expect(new Set(ids).size).toBe(300)
})

test('a lease ends by itself, and whoever claims then has another', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(['user.new'])
  await at.append('user 1 new')
  const [first] = await at.claim(webhook, 1, 50)
  const [second] = await until(
    async () => {
      const lanes = await at.claim(webhook)
      return lanes.length > 0 && lanes
    },
    { what: 'the lease to end' },
  )
  expect(second).toMatchObject({ entityId: '1', eventId: first!.eventId })
  expect(second!.lease).not.toBe(first!.lease)
})

test('to lease a lane changes no index, also where all lanes of a page are leased at once', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(['user.new'])
  await at.append(...Array.from({ length: 200 }, (_, i) => `user ${i} new`))
  expect(await at.claim(webhook, 200)).toHaveLength(200)
  await at.outbox.pool.query('select pg_stat_force_next_flush()')
  const changes = await until(
    async () => {
      const { rows } = await at.outbox.pool.query(
        `select n_tup_upd::int as leased, n_tup_hot_upd::int as in_place
         from pg_stat_user_tables where relid = 'walhook.lanes'::regclass`,
      )
      return rows[0].leased >= 200 && rows[0]
    },
    { what: 'the statistics' },
  )
  expect(changes.in_place).toBe(changes.leased)
})

test('a lane that somebody asks for by hand at that moment is released all the same', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(['user.new'])
  await at.append('user 7 new')
  const claimed = await at.claim(webhookId)
  // As a resend locks it.
  const letGo = await holdUp(at, 'update walhook.lanes set due_at = due_at')
  const released = release(at.outbox, claimed)
  await untilWaiting(at, 1, 'the release to wait for the lane')
  await letGo()
  await released
  expect(await at.claim(webhookId)).toHaveLength(1)
})

test('a released lane is due at once, unless somebody else holds it by now', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(['user.new'])
  await at.append('user 1 new')
  const first = await at.claim(webhook)
  await release(at.outbox, first)
  expect(await at.claim(webhook)).toHaveLength(1)
  await release(at.outbox, first)
  expect(await at.claim(webhook)).toEqual([])
})

test('busy webhooks are the active ones with work, each with the time until its earliest lane is due', async () => {
  await using at = await openTestOutbox()
  const triggers = ['user.new']
  const [waiting, leased, inactive] = [
    await at.webhook(triggers),
    await at.webhook(triggers),
    await at.webhook(triggers),
  ]
  await at.webhook(['company.new'])
  expect(await busyWebhooks(at.outbox)).toEqual([])
  await at.append('user 1 new', 'user 2 new')
  await at.claim(leased, 2, 60_000)
  await at.claim(waiting, 1, 60_000)
  await updateWebhook(at.outbox, inactive, { isActive: false })
  const busy = new Map((await busyWebhooks(at.outbox)).map(each => [each.id, each]))
  expect([...busy.keys()].sort()).toEqual([waiting, leased])
  expect(busy.get(waiting)!.dueInMs).toBeLessThanOrEqual(0)
  expect(busy.get(leased)!.dueInMs).toBeGreaterThan(1_000)
  expect(busy.get(leased)!.dueInMs).toBeLessThanOrEqual(60_000)
  await updateWebhook(at.outbox, inactive, { isActive: true })
  expect(await busyWebhooks(at.outbox)).toHaveLength(3)
})

test('behind lanes that are held, a webhook is busy when the next is due or when a lease ends, whichever is first', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(['user.new'])
  const dueInS = async () => {
    const among = await busyWebhooks(at.outbox, [webhook])
    expect(among.map(({ id }) => id)).toEqual((await busyWebhooks(at.outbox)).map(({ id }) => id))
    return Math.round(Math.max(0, among[0]!.dueInMs) / 1_000)
  }
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  await at.claim(webhook, 1, 60_000)
  await at.claim(webhook, 1, 40_000)
  expect(await dueInS()).toBe(0)
  await at.outbox.pool.query(
    `update walhook.lanes set due_at = now() + interval '20 s' where lease_id is null`,
  )
  expect(await dueInS()).toBe(20)
  await at.outbox.pool.query(
    `update walhook.lanes set due_at = now() + interval '50 s' where lease_id is null`,
  )
  expect(await dueInS()).toBe(40)
})
