import { expect, test } from 'vitest'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { releaseShares } from '../../src/outbox/holders/holders.ts'
import { settle as settleInOutbox } from '../../src/outbox/settle/settle.ts'
import { takeOver } from '../../src/outbox/settle/takeover.ts'
import { asideOf, busyHolder, joined, ofStream, rowsOf, settleAs, streamed } from '../support/holding.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { dead, everyUser, untilWaiting } from '../support/outbox-traffic.ts'
import { attemptsOf } from '../support/read-outbox.ts'
import { claim, holderOf, retry, settle, settleAll, settlementOf } from '../support/sending.ts'

const later = retry(60_000)

test('a row that is delivered leaves the queue, and the next one of its entity is due at once', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new', 'user 1 update')
  const deliveries = await claim(at, webhook)
  expect(deliveries).toMatchObject([{ entityId: '1', actionType: 'new' }, { entityId: '2' }])
  const { left, isFenced } = await settle(at, ...deliveries.map(each => settlementOf(each)))
  expect({ left, isFenced }).toMatchObject({ left: [{ webhookId: webhook }], isFenced: false })
  expect(left[0]!.dueInMs).toBeLessThan(1)
  expect(await rowsOf(at)).toEqual(['1 update: due'])
  await settleAll(at, webhook)
  expect(await rowsOf(at)).toEqual([])
  expect(await at.count('attempts', `outcome = 'delivered'`)).toBe(3)
})

test('a failed row keeps its order and counts its attempt; a request cut off by a shutdown costs none', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new', 'user 1 update')
  const [first, second] = await claim(at, webhook)
  const { left } = await settle(
    at,
    settlementOf(first!, later),
    settlementOf(second!, { next: { state: 'retry', waitMs: 0, costsAttempt: false } }),
  )
  expect(left.length).toBe(1)
  expect(left[0]!.dueInMs).toBeLessThan(1)
  expect(await rowsOf(at)).toEqual(['1 new: later, tried 1', '2 new: due', '1 update: behind'])
  const log = await attemptsOf(at.outbox, { webhookId: webhook, limit: 10, before: null })
  expect(Math.max(...log.map(each => each.nextAttemptAt!.getTime() - Date.now()))).toBeGreaterThan(50_000)
})

test('an exhausted row is kept as dead, and its entity continues', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 1 update')
  await settleAll(at, webhook, dead)
  expect(await rowsOf(at)).toEqual(['1 update: due'])
  expect(await at.count('ended_deliveries', `state = 'dead' and attempts = 1 and entity_id = '1'`)).toBe(1)
})

test('an event of a stream becomes a row only after a failure; those blocked by it follow', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const me = await holderOf(at)
  const ids = await at.append('user 1 new', 'user 2 new', 'user 3 new', 'user 2 update', 'user 3 update')
  const [first, second, third, secondsNext, thirdsNext] = await streamed(at, webhook, ids)
  await settleAs(at, me, [ofStream(first!), ofStream(second!, later), ofStream(third!, dead)])
  expect(await rowsOf(at)).toEqual(['2 new: later, tried 1'])
  expect(await at.count('ended_deliveries', `state = 'dead' and attempts = 1 and entity_id = '3'`)).toBe(1)
  const { left } = await settleAs(at, me, [], [asideOf(secondsNext!), asideOf(thirdsNext!)])
  expect(await rowsOf(at)).toEqual(['2 new: later, tried 1', '2 update: behind', '3 update: due'])
  expect(left.map(({ webhookId }) => webhookId)).toEqual([webhook])
})

test('a long request gets a row with its commit, and is settled as a row', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const me = await holderOf(at)
  const [slow, next] = await streamed(at, webhook, await at.append('user 1 new', 'user 1 update'))
  await settleAs(at, me, [], [asideOf(slow!, { takenBy: me }), asideOf(next!)])
  expect(await rowsOf(at)).toEqual([`1 new: due, taken by ${me}`, '1 update: behind'])
  await settleAs(at, me, [settlementOf(slow!, later)])
  expect(await rowsOf(at)).toEqual(['1 new: later, tried 1', '1 update: behind'])
})

test('a delivery cancelled while in flight is logged, and stays cancelled', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const deliveries = await claim(at, webhook)
  await at.outbox.pool.query('delete from walhook.deliveries')
  const fates = [{}, later, dead]
  await settle(at, ...deliveries.map((each, i) => settlementOf(each, fates[i])))
  expect(await rowsOf(at)).toEqual([])
  expect(await at.count('ended_deliveries')).toBe(0)
  expect(await at.count('attempts')).toBe(3)
})

test('a settlement repeated after a lost commit reply does not affect a row that was taken again', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [first] = await claim(at, webhook)
  await settle(at, settlementOf(first!, retry(0)))
  const [again] = await claim(at, webhook)
  await settle(at, settlementOf(first!, retry(0)))
  expect(await rowsOf(at)).toEqual([`1 new: due, tried 1, taken by ${await holderOf(at)}`])
  await settle(at, settlementOf(again!))
  expect(await rowsOf(at)).toEqual([])
})

test.each([
  ['tried again', later],
  ['delivered', {}],
])(
  'an older event requested by hand waits for the request in flight, and then goes first: it is %s',
  async (_, fate) => {
    await using at = await openTestOutbox()
    const webhook = await at.webhook(everyUser)
    const [older] = await streamed(at, webhook, await at.append('user 1 new'))
    await settleAll(at, webhook)
    await at.append('user 1 update')
    const [delivery] = await claim(at, webhook)
    await at.outbox.pool.query(
      `insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, is_manual, due_at)
     values ($1, $2, 'user', '1', $3, true, 'infinity')`,
      [webhook, older!.share, older!.eventId],
    )
    expect(await claim(at, webhook)).toEqual([])
    await settle(at, settlementOf(delivery!, fate))
    expect(await claim(at, webhook)).toMatchObject([{ actionType: 'new', isManual: true }])
  },
)

test('410 disables the webhook with a reason, raises the version of the webhooks, and keeps pending events', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new')
  const [first] = await claim(at, webhook)
  const before = await settle(at, settlementOf(first!, { ...later, disable: 'The receiver answered 410.' }))
  expect(before.disabled).toEqual([{ webhookId: webhook, reason: 'The receiver answered 410.' }])
  expect((await rowsOf(at)).length).toBe(2)
  const after = await settleAs(at, await holderOf(at), [])
  expect(after.webhooksVersion).toBe(before.webhooksVersion + 1)
})

test('a holder that is fenced logs its attempts, and changes nothing else', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const me = await joined(at)
  const ids = await at.append('user 1 new', 'user 2 new')
  const [first, second] = await streamed(at, webhook, ids)
  await takeOver(at.outbox, { deadId: me, beat: 0n })
  const settled = await settleAs(
    at,
    me,
    [ofStream(first!, { ...later, isFailing: true, disable: 'gone' })],
    [asideOf(second!)],
  )
  expect(settled).toMatchObject({ isFenced: true, left: [], disabled: [], recovered: [] })
  expect(await rowsOf(at)).toEqual([])
  expect(await at.count('attempts')).toBe(1)
  expect(await at.count('webhooks', 'disabled_at is not null or failing_since is not null')).toBe(0)
})

test('settling for a share that another holder has taken over waits for that holder', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const me = await joined(at)
  const [slow] = await streamed(at, webhook, await at.append('user 1 new'))
  await settleAs(at, me, [], [asideOf(slow!, { takenBy: me })])
  await releaseShares(at.outbox, { holderId: me, shares: [slow!.share] })
  const other = await joined(at)
  const letGo = await busyHolder(at, other)
  const settled = settleAs(at, me, [settlementOf(slow!, later)])
  await untilWaiting(at, 1, 'the settlement to wait for the other holder')
  expect(await rowsOf(at)).toEqual([`1 new: due, taken by ${me}`])
  await letGo()
  expect((await settled).isFenced).toBe(false)
  expect(await rowsOf(at)).toEqual(['1 new: later, tried 1'])
  expect(await at.count('attempts')).toBe(1)
})

test('the log and the queue commit together: if the queue cannot change, nothing is logged', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [delivery] = await claim(at, webhook)
  await at.outbox.pool.query(`
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
    create trigger refuse before delete on walhook.deliveries for each row execute function refuse()`)
  await expect(settle(at, settlementOf(delivery!))).rejects.toThrow('no')
  expect(await at.count('attempts')).toBe(0)
})

test('a settlement aborted by a deadlock is repeated without a loss', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new')
  const deliveries = await claim(at, webhook)
  const holderId = await holderOf(at)
  const other = await at.outbox.pool.connect()
  const lockRowOf = async (entityId: string) =>
    await other.query(`select from walhook.deliveries where entity_id = $1 for key share`, [entityId])
  // As somebody who sets an event aside behind each of them, in the opposite order, and does not look for a deadlock himself.
  await other.query(`begin; set local deadlock_timeout = '1min'`)
  await lockRowOf('2')
  // It waits this long before it looks.
  const url = `${at.database.url}?options=${encodeURIComponent('-c deadlock_timeout=4s')}`
  await using patient = openOutbox({ url, maxConnections: 2, onError() {} })
  const settlements = deliveries.map(each => settlementOf(each))
  const settling = settleInOutbox(patient, holderId, { settlements, aside: [] })
  await untilWaiting(at, 1, 'the settlement to wait for user 2')
  await lockRowOf('1')
  await other.query('commit')
  other.release()
  expect((await settling).isFenced).toBe(false)
  expect(await rowsOf(at)).toEqual([])
  expect(await at.count('attempts', `outcome = 'delivered'`)).toBe(2)
})
