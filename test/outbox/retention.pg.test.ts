import { expect, test } from 'vitest'
import { firstIdAt, timeOf } from '../../src/domain/value/time-id.ts'
import { replay } from '../../src/outbox/by-hand/replay.ts'
import { transaction } from '../../src/outbox/database/database.ts'
import { webhooksNeedingDay } from '../../src/outbox/days/held-days.ts'
import { ensurePartitions } from '../../src/outbox/days/partitions.ts'
import { dropOldDays } from '../../src/outbox/days/retention.ts'
import { findAttempt, type LoggedAttempt } from '../../src/outbox/reading/attempts.ts'
import { deleteWebhook, updateWebhook } from '../../src/outbox/records/webhooks.ts'
import { eventIds, openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { attemptsOf } from '../support/read-outbox.ts'
import { countRows } from '../support/row-counter.ts'
import { cancel, claim, resend, retry, settle, settleAll, settlementOf } from '../support/sending.ts'
import { until } from '../support/wait.ts'

const everyUser = ['user.new', 'user.update', 'user.delete']
const dayMs = 86_400_000
const keep = { logDays: 30, eventsDays: 30 }

/** Drops what is old at a moment so many days from now, of which the partitions are there. */
async function dropAfter(at: TestOutbox, days: number, how = keep): Promise<string[]> {
  const nowMs = Date.now() + days * dayMs
  await ensurePartitions(at.outbox, nowMs)
  return (await dropOldDays(at.outbox, nowMs, how)).dropped
}

const today = () => new Date().toISOString().slice(0, 10).replaceAll('-', '')
const partitions = async (at: TestOutbox, table: string): Promise<string[]> =>
  (
    await at.outbox.pool.query(
      `select inhrelid::regclass::text as name from pg_inherits where inhparent = $1::regclass order by 1`,
      [`walhook.${table}`],
    )
  ).rows.map(({ name }) => name.replace(/^walhook\./, ''))

test('only expired days are dropped', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  await settleAll(at, webhookId)
  await transaction(at.outbox.pool, client => deleteWebhook(client, webhookId))
  expect((await dropAfter(at, 30)).sort()).toEqual(
    ['attempts', 'ended_deliveries', 'events'].map(table => `${table}_${yesterday()}`),
  )
  expect(await at.count('attempts')).toBe(1)
  const dropped = await dropAfter(at, 31)
  expect(dropped.sort()).toEqual(
    ['attempts', 'ended_deliveries', 'events'].map(table => `${table}_${today()}`),
  )
  expect(await at.count('attempts')).toBe(0)
  expect(await at.count('events')).toBe(0)
  expect(await partitions(at, 'events')).not.toContain(`events_${today()}`)
  expect(await at.count('kept_attempts')).toBe(0)
  expect(await dropAfter(at, 31)).toEqual([])
})

const yesterday = () => new Date(Date.now() - dayMs).toISOString().slice(0, 10).replaceAll('-', '')

test('an undelivered event is never dropped, nor one that the log still shows', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  await settleAll(at, webhookId)
  // Nothing waits, and the log is kept longer than the events.
  const dropped = await dropAfter(at, 40, { logDays: 60, eventsDays: 10 })
  expect(dropped).toContain(`events_${yesterday()}`)
  expect(dropped).not.toContain(`events_${today()}`)
  expect((await attemptsOf(at.outbox, { webhookId, limit: 1, before: null }))[0]!.request.body).toContain(
    '"new"',
  )
  // The log has gone, and one event still waits.
  await at.append('user 2 new')
  await settleAll(at, webhookId, retry(60_000))
  expect(await dropAfter(at, 40)).toContain(`attempts_${today()}`)
  expect(await at.count('events')).toBe(2)
  await at.outbox.pool.query('delete from walhook.deliveries')
  expect((await dropAfter(at, 40)).sort()).toEqual([`ended_deliveries_${today()}`, `events_${today()}`])
})

/** What ends that a webhook holds a day of which it is before `user 2 new`, the last event; with the id of that. */
const waysOut: [string, (at: TestOutbox, webhookId: number, last: bigint) => Promise<unknown>][] = [
  ['its place moves', (at, webhookId, last) => place(at, webhookId, last)],
  [
    'what waits is cancelled',
    (at, webhookId, upTo) => cancel(at, { webhookId, entity: null, eventId: null, upTo }),
  ],
  ['it is deleted', (at, id) => at.outbox.pool.query('delete from walhook.webhooks where id = $1', [id])],
]

/** The place of a webhook of its own, in every share. */
const place = (at: TestOutbox, webhookId: number, upTo: bigint) =>
  at.outbox.pool.query(
    `insert into walhook.streams (webhook_id, share, settled_up_to, may_send_up_to)
     select $1, share, $2, $2 from walhook.shares
     on conflict (webhook_id, share) do update
       set settled_up_to = excluded.settled_up_to, may_send_up_to = excluded.may_send_up_to`,
    [webhookId, upTo],
  )

test.each(waysOut)(
  'a day is kept for a webhook that still needs an event of it, until %s',
  async (_, end) => {
    await using at = await openTestOutbox()
    const triggers = [['user.new'], ['user.new'], ['company.new'], ['user.new']]
    const [slow, quick, unwanted, inactive] = (await Promise.all(triggers.map(each => at.webhook(each)))) as [
      number,
      number,
      number,
      number,
    ]
    await updateWebhook(at.outbox, inactive, { isActive: false })
    const [first, last] = await at.append('user 1 new', 'user 2 new')
    const heldBy = async () => {
      const nowMs = Date.now() + 40 * dayMs
      await ensurePartitions(at.outbox, nowMs)
      return (await dropOldDays(at.outbox, nowMs, keep)).held.map(({ webhookIds }) => webhookIds)
    }
    // Nobody delivers.
    expect(await heldBy()).toEqual([[slow, quick].toSorted()])
    await at.outbox.pool.query('update walhook.shares set settled_up_to = $1', [last])
    for (const id of [slow, unwanted, inactive]) await place(at, id, first! - 1n)
    expect(await heldBy()).toEqual([[slow]])
    await cancel(at, {
      webhookId: slow,
      entity: { entityType: 'user', entityId: '1' },
      eventId: null,
      upTo: last!,
    })
    expect(await heldBy()).toEqual([[slow]])
    expect(await at.count('events')).toBe(2)
    await end(at, slow, last!)
    expect(await heldBy()).toEqual([])
    expect(await at.count('events')).toBe(0)
  },
)

test('earlier webhook states and cancellations are kept as long as their events', async () => {
  await using at = await openTestOutbox()
  const id = await at.webhook(['user.new'])
  const [event] = await at.append('user 1 new')
  await at.outbox.pool.query(`insert into walhook.skips (webhook_id, after_id, up_to) values ($1, 0, $2)`, [
    id,
    event,
  ])
  await updateWebhook(at.outbox, id, { triggers: ['user.update'] })
  await updateWebhook(at.outbox, id, { triggers: ['user.delete'] })
  const states = async () =>
    (await at.outbox.pool.query('select triggers from walhook.webhook_states order by version')).rows.flatMap(
      row => row.triggers,
    )
  await at.outbox.pool.query('update walhook.shares set settled_up_to = $1', [event])
  await dropOldDays(at.outbox, Date.now(), keep)
  expect(await states()).toEqual(['user.new', 'user.update', 'user.delete'])
  expect(await at.count('skips')).toBe(1)
  await dropAfter(at, 40)
  expect(await at.count('events')).toBe(0)
  expect(await at.count('skips')).toBe(0)
  // An append that is under way may be of the version of the newest one that is there.
  expect(await states()).toEqual(['user.new', 'user.update', 'user.delete'])
  await ensurePartitions(at.outbox, Date.now())
  await at.append('user 2 new')
  await dropOldDays(at.outbox, Date.now(), keep)
  expect(await states()).toEqual(['user.delete'])
})

test('the last ten requests of each webhook are kept without bodies, until newer ones replace them', async () => {
  await using at = await openTestOutbox()
  const [webhookId, other] = [await at.webhook(everyUser), await at.webhook(['user.update'])]
  for (let i = 0; i < 12; i++) await at.append(`user ${i} new`)
  await at.append('user 0 update')
  for (let i = 0; i < 13; i++)
    await settle(at, ...(await claim(at, webhookId, 1)).map(delivery => settlementOf(delivery)))
  await settleAll(at, other, { next: { state: 'dead' } })
  const before = await attemptsOf(at.outbox, { webhookId, limit: 100, before: null })
  const ofOther = await attemptsOf(at.outbox, { webhookId: other, limit: 100, before: null })
  expect(before[0]!.request.body).toContain('entity_id')

  await dropAfter(at, 40)
  expect(await at.count('attempts')).toBe(0)
  expect(await at.count('events')).toBe(0)
  const kept = (one: LoggedAttempt): LoggedAttempt => ({
    ...one,
    facts: null,
    hasBodies: false,
    request: { ...one.request, body: '' },
    response: one.response && { ...one.response, headers: {}, body: '' },
  })
  const withoutFacts = before.slice(0, 10).map(kept)
  expect(await attemptsOf(at.outbox, { webhookId, limit: 100, before: null })).toEqual(withoutFacts)
  expect(await attemptsOf(at.outbox, { webhookId: other, limit: 100, before: null })).toEqual([
    kept(ofOther[0]!),
  ])
  expect(await findAttempt(at.outbox, webhookId, before[3]!.id)).toEqual(withoutFacts[3])
  const filter = { eventId: before[3]!.eventId! }
  expect(await attemptsOf(at.outbox, { webhookId, limit: 9, before: null, filter })).toHaveLength(1)

  await ensurePartitions(at.outbox, Date.now())
  await at.append('user 1 update', 'user 2 update')
  for (let i = 0; i < 2; i++) await settleAll(at, webhookId)
  const log = await attemptsOf(at.outbox, { webhookId, limit: 10, before: null })
  expect(log.slice(2)).toEqual(withoutFacts.slice(0, 8))
  await dropOldDays(at.outbox, Date.now(), keep)
  expect(await at.count('kept_attempts', `webhook_id = ${webhookId}`)).toBe(8)
  await at.outbox.pool.query('delete from walhook.webhooks')
  await dropOldDays(at.outbox, Date.now(), keep)
  expect(await at.count('kept_attempts')).toBe(0)
})

test('creating or dropping a day beside a long transaction delays no append and no settlement', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  const nowMs = Date.now() + 40 * dayMs
  const long = await at.outbox.pool.connect()
  await long.query('begin')
  for (const table of ['events', 'attempts', 'ended_deliveries', 'deliveries'])
    await long.query(`select count(*) from walhook.${table}`)

  await ensurePartitions(at.outbox, nowMs)
  expect(await partitions(at, 'events')).toContain(
    `events_${new Date(nowMs).toISOString().slice(0, 10).replaceAll('-', '')}`,
  )
  const dropping = dropOldDays(at.outbox, nowMs, { ...keep, waitForOthersMs: 120_000 })
  await until(
    async () =>
      (
        await at.outbox.pool.query(
          `select from pg_stat_activity
           where datname = current_database() and query ilike 'alter table%' and wait_event_type = 'Lock'`,
        )
      ).rowCount === 1,
    { what: 'the drop to wait for the long transaction' },
  )
  // The long transaction ends only after these: whoever waited for it would wait for ever.
  await at.append('user 1 new')
  expect(await settleAll(at, webhookId)).toHaveLength(1)
  await long.query('commit')
  long.release()
  await dropping
  await dropOldDays(at.outbox, nowMs, keep)
  expect((await partitions(at, 'attempts')).filter(name => name.endsWith(yesterday()))).toEqual([])
})

test('the next run completes the work of a killed process', async () => {
  await using at = await openTestOutbox()
  const nowMs = Date.now() + 40 * dayMs
  await ensurePartitions(at.outbox, nowMs)
  const long = await at.outbox.pool.connect()
  await long.query('begin; select count(*) from walhook.events; select count(*) from walhook.attempts')
  const killed = await at.outbox.pool.connect()
  await killed.query(`set lock_timeout = '50ms'`)
  for (const table of ['events', 'attempts'])
    await expect(
      killed.query(`alter table walhook.${table} detach partition walhook.${table}_${today()} concurrently`),
    ).rejects.toThrow('lock timeout')
  killed.release(true)
  await long.query('commit')
  long.release()
  // One more was detached, and not yet dropped.
  await at.outbox.pool.query(
    `alter table walhook.ended_deliveries detach partition walhook.ended_deliveries_${today()} concurrently`,
  )
  const { dropped } = await dropOldDays(at.outbox, nowMs, keep)
  for (const table of ['events', 'attempts', 'ended_deliveries'])
    expect(dropped).toContain(`${table}_${today()}`)
})

test('a day whose events are requested while it is being dropped is restored', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(['company.new'])
  await at.append('user 1 new')
  const [eventId] = await eventIds(at)
  await at.outbox.pool.query(
    `alter table walhook.events detach partition walhook.events_${today()} concurrently`,
  )
  expect(await resend(at, { webhookId, eventId: eventId! })).toEqual({ state: 'no_event' })
  // As a resend would have done that had begun before.
  await at.outbox.pool.query(
    `insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, due_at, is_manual)
     values ($1, walhook.share_of('user', '1'), 'user', '1', $2, now(), true)`,
    [webhookId, eventId],
  )
  const dropped = await dropAfter(at, 40)
  expect(dropped).not.toContain(`events_${today()}`)
  expect(await claim(at, webhookId)).toMatchObject([{ eventId }])
})

test('a replay delays the drop of its events until they are queued', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(['company.new'])
  await at.append('user 1 new')
  let dropping: Promise<string[]> = Promise.resolve([])
  const source = { of: 'range' as const, from: 0n, to: firstIdAt(2 ** 42), triggers: null }
  await replay(
    at.outbox,
    { webhookId, source, after: null, pageEvents: 10 },
    {
      isTimeOver: () => false,
      // In the transaction that has made the delivery, before it commits.
      async onQueued() {
        dropping = dropAfter(at, 40)
        await until(
          async () =>
            (
              await at.outbox.pool.query(
                `select from pg_stat_activity
                 where datname = current_database() and query like '%detach partition walhook.events_%'
                   and wait_event_type = 'Lock'`,
              )
            ).rowCount === 1,
          { what: 'the drop to wait for the replay' },
        )
      },
    },
  )
  expect(await dropping).not.toContain(`events_${today()}`)
  const claimed = await claim(at, webhookId)
  expect(claimed.map(({ eventId }) => timeOf(eventId) > 0)).toEqual([true])
})

test('two processes that drop together do it once', async () => {
  await using at = await openTestOutbox()
  const nowMs = Date.now() + 40 * dayMs
  await ensurePartitions(at.outbox, nowMs)
  const both = await Promise.all([1, 2, 3].map(() => dropOldDays(at.outbox, nowMs, keep)))
  const dropped = both.flatMap(each => each.dropped)
  expect(new Set(dropped).size).toBe(dropped.length)
  expect(dropped.length).toBeGreaterThan(0)
})

test('a webhook that was disabled before a day is not compared with its events', async () => {
  await using at = await openTestOutbox()
  const [inactive, active] = [await at.webhook(everyUser), await at.webhook(everyUser)]
  const before = await at.append('user 1 new')
  // It lagged, and was given up: its position stays.
  await at.outbox.pool.query(
    'insert into walhook.streams select $1, share, 0, 0 from walhook.shares; '.replace(
      '$1',
      String(inactive),
    ),
  )
  await updateWebhook(at.outbox, inactive, { isActive: false })
  await at.outbox.pool.query('delete from walhook.events where id = any($1)', [before])
  await at.fill(20_000)
  const { rows, outbox } = countRows(at.outbox)
  const holders = async () =>
    await outbox.pool.connect().then(async client => {
      try {
        return await webhooksNeedingDay(client, Math.floor(Date.now() / dayMs) * dayMs)
      } finally {
        client.release()
      }
    })
  const read = () => rows.get([...rows.keys()].find(name => name.startsWith('with first as'))!)!
  expect(await holders()).toEqual([active])
  // With some statistics, the index of the day is read once; compared with each event, it would be 28 times.
  expect(read()).toBeLessThan(50_000)
  // What it wanted before is held for it.
  await updateWebhook(at.outbox, inactive, { isActive: true })
  await at.append('user 3 new')
  await updateWebhook(at.outbox, inactive, { isActive: false })
  expect(await holders()).toEqual([inactive, active])
})
