import { expect, test } from 'vitest'
import { beat } from '../../src/outbox/holders/beats.ts'
import { claimShares, join } from '../../src/outbox/holders/holders.ts'
import { saveProgress } from '../../src/outbox/holders/streams.ts'
import { takeOver } from '../../src/outbox/settle/takeover.ts'
import { asideOf, joined, ofStream, rowsOf, settleAs, streamed } from '../support/holding.ts'
import { openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { dead, everyUser } from '../support/outbox-traffic.ts'
import { allShares, retry, settlementOf } from '../support/sending.ts'
import { keepStatistics } from '../support/statistics.ts'

const aliveMs = 60_000

/** The rows of the queue, as `webhook entity action: when`. */
async function allRows(at: TestOutbox): Promise<string[]> {
  const { rows } = await at.outbox.pool.query(`
    select d.webhook_id || ' ' || e.entity_id || ' ' || e.action_type || ': '
           || case when d.due_at = 'infinity' then 'behind' when d.due_at > now() + interval '40 s' then 'waits'
                   when d.due_at > now() then 'soon' else 'due' end
           || case when d.attempts > 0 then ', tried ' || d.attempts else '' end
           || case when d.taken_by is not null then ', taken' else '' end as line
    from walhook.deliveries d join walhook.events e on e.id = d.event_id order by d.webhook_id, d.event_id`)
  return rows.map(({ line }) => line)
}

test('a takeover handles each state of an event', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const me = await joined(at, 12, aliveMs)
  const ids = await at.append(
    ...['sent', 'arrived', 'failed', 'given-up', 'in-batch', 'held', 'skipped', 'cut-off', 'superseded'].map(
      id => `user ${id} new`,
    ),
    ...['failed', 'given-up', 'held', 'cut-off'].map(id => `user ${id} update`),
    'order 1 new',
  )
  const [sent, arrived, failed, givenUp, inBatch, held, skipped, cutOff, superseded] = await streamed(
    at,
    webhook,
    ids,
  )
  await beat(at.outbox, { holderId: me, aliveMs, maySendUpTo: ids.at(-1)! })
  const cutOffNow = settlementOf(cutOff!).attempt
  await settleAs(
    at,
    me,
    [ofStream(arrived!), ofStream(failed!, retry(10_000)), ofStream(givenUp!, dead)],
    [asideOf(held!, { takenBy: me })],
  )
  const batch = settlementOf(inBatch!)
  await settleAs(at, me, [
    {
      ...batch,
      attempt: {
        ...batch.attempt,
        eventId: null,
        eventIds: [inBatch!.eventId],
        entityType: null,
        entityId: null,
        actionType: null,
      },
      shipment: { ...batch.shipment, isAside: false },
    },
    // Logged as one that our own shutdown ended, and its row was lost with the process.
    {
      ...ofStream(cutOff!),
      attempt: { ...cutOffNow, outcome: 'cancelled', response: null },
    },
  ])
  await at.outbox.pool.query(
    `insert into walhook.ended_deliveries (webhook_id, event_id, entity_type, entity_id, state, superseded_by, attempts)
     values ($1, $2, 'user', 'superseded', 'superseded', 1, 0)`,
    [webhook, superseded!.eventId],
  )
  await at.outbox.pool.query(
    `insert into walhook.skips (webhook_id, entity_type, entity_id, after_id, up_to) values ($1, 'user', 'skipped', $2::bigint - 1, $2)`,
    [webhook, skipped!.eventId],
  )
  await at.append('user sent update', 'user 5 new')
  expect(await takeOver(at.outbox, { deadId: me, beat: 1n })).toMatchObject({
    setAside: 6,
    shares: allShares,
  })
  expect(await allRows(at)).toEqual(
    [
      'sent new: waits',
      'failed new: soon, tried 1',
      'held new: waits',
      'cut-off new: waits',
      'failed update: behind',
      'given-up update: waits',
      'held update: behind',
      'cut-off update: behind',
    ].map(line => `${webhook} ${line}`),
  )
  expect(sent).toBeDefined()
  // Beyond what may have been sent, the log goes on at once.
  expect(await at.count('shares', `holder_id is null and settled_up_to = ${ids.at(-1)}`)).toBe(12)
  expect(await at.count('holders')).toBe(0)
})

test('a takeover sets nothing aside for webhooks that did not want the event: by triggers, inactive, created later, or because it is for another one', async () => {
  await using at = await openTestOutbox()
  const [wants, creates, inactive] = [
    await at.webhook(everyUser),
    await at.webhook(['user.new']),
    await at.webhook(everyUser, false),
  ]
  const me = await joined(at)
  await at.append('user 1 update')
  const made = await at.webhook(everyUser)
  const [onlyOne] = await at.append('user 2 update')
  await at.outbox.pool.query('update walhook.events set only_webhook_id = $1 where id = $2', [made, onlyOne])
  await at.outbox.pool.query(`update walhook.webhooks set triggers = '{user.update}' where id = $1`, [
    creates,
  ])
  await at.outbox.pool.query('update walhook.webhooks set is_active = not is_active where id in ($1, $2)', [
    inactive,
    wants,
  ])
  const [last] = await at.append('user 3 update')
  await beat(at.outbox, { holderId: me, aliveMs, maySendUpTo: last! })
  await takeOver(at.outbox, { deadId: me, beat: 1n })
  expect(await allRows(at)).toEqual([
    `${wants} 1 update: waits`,
    `${creates} 3 update: waits`,
    `${inactive} 3 update: waits`,
    `${made} 2 update: waits`,
    `${made} 3 update: waits`,
  ])
})

test('a takeover sets aside what the own stream of a lagging webhook may have sent, for that webhook only', async () => {
  await using at = await openTestOutbox()
  const [behind, quick] = [await at.webhook(everyUser), await at.webhook(everyUser)]
  const me = await joined(at)
  const ids = await at.append(...[1, 2, 3, 4, 5, 6].map(id => `user ${id} new`))
  const own = allShares.map(share => ({
    webhookId: behind,
    share,
    settledUpTo: ids[0]!,
    maySendUpTo: ids[2]!,
  }))
  await saveProgress(at.outbox, {
    holderId: me,
    main: allShares.map(share => ({ share, settledUpTo: ids[3]! })),
    streams: own,
    gone: [],
  })
  await beat(at.outbox, { holderId: me, aliveMs, maySendUpTo: ids[4]! })
  await takeOver(at.outbox, { deadId: me, beat: 1n })
  expect(await allRows(at)).toEqual([
    `${behind} 2 new: waits`,
    `${behind} 3 new: waits`,
    `${quick} 5 new: waits`,
  ])
  expect(await at.count('streams', `settled_up_to = ${ids[2]} and may_send_up_to = ${ids[2]}`)).toBe(12)
  expect(await at.count('shares', `settled_up_to = ${ids[4]}`)).toBe(12)
})

test("a takeover covers the dead holder's shares only, and no position beyond the head of the log", async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const dead = await joined(at, 5)
  const other = await joined(at)
  const lines = Array.from({ length: 60 }, (_, i) => `user ${i} new`)
  const ids = await at.append(...lines)
  const deliveries = await streamed(at, webhook, ids)
  for (const holderId of [dead, other]) await beat(at.outbox, { holderId, aliveMs, maySendUpTo: 2n ** 62n })
  expect(await takeOver(at.outbox, { deadId: dead, beat: 1n })).toEqual({
    kind: 'taken',
    setAside: deliveries.filter(({ share }) => share < 5).length,
    shares: [0, 1, 2, 3, 4],
  })
  expect(await at.count('deliveries', 'share >= 5')).toBe(0)
  expect(await at.count('shares', `holder_id is null and settled_up_to = ${ids.at(-1)}`)).toBe(5)
  expect(await at.count('shares', `holder_id = ${other} and settled_up_to = 0`)).toBe(7)
})

test('batches of a dead holder are due once nothing is in flight; without batching, as single events', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 10, maxWaitMs: 0 }
  const [batching, single] = [await at.webhook(everyUser, true, { batch }), await at.webhook(everyUser)]
  const me = await joined(at, 12, aliveMs)
  const ids = await at.append('user 1 new', 'user 2 new')
  for (const id of [batching, single]) {
    await settleAs(
      at,
      me,
      [],
      (await streamed(at, id, ids)).map(each => asideOf(each)),
    )
    await at.outbox.pool.query(
      `insert into walhook.batches (webhook_id, id, share, due_at, taken_by) values ($1, 77, 3, now(), $2)`,
      [id, me],
    )
  }
  await at.outbox.pool.query(`update walhook.deliveries set batch_id = 77, due_at = 'infinity'`)
  await takeOver(at.outbox, { deadId: me, beat: 0n })
  expect(
    await at.count(
      'batches',
      `webhook_id = ${batching} and taken_by is null and due_at > now() + interval '40 s'`,
    ),
  ).toBe(1)
  expect(await at.count('batches')).toBe(1)
  expect(await allRows(at)).toEqual([
    `${batching} 1 new: behind`,
    `${batching} 2 new: behind`,
    `${single} 1 new: waits`,
    `${single} 2 new: waits`,
  ])
})

test('a manual event before a taken row waits with it, and is sent first', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const me = await joined(at, 12, aliveMs)
  const [older, newer] = await streamed(at, webhook, await at.append('user 1 new', 'user 1 update'))
  await settleAs(at, me, [], [asideOf(newer!, { takenBy: me })])
  await at.outbox.pool.query(
    `insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, is_manual, due_at)
     values ($1, $2, 'user', '1', $3, true, 'infinity')`,
    [webhook, older!.share, older!.eventId],
  )
  await takeOver(at.outbox, { deadId: me, beat: 0n })
  expect(await allRows(at)).toEqual([`${webhook} 1 new: waits`, `${webhook} 1 update: waits`])
})

test('a due row requested by hand waits until the dead holder has nothing of its entity in flight', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const me = await joined(at, 12, aliveMs)
  const ids = await at.append('user 1 new', 'user 1 update', 'user 2 new', 'user 2 update')
  const [one, oneNewer, two, twoNewer] = await streamed(at, webhook, ids)
  await beat(at.outbox, { holderId: me, aliveMs, maySendUpTo: ids.at(-1)! })
  // By the stream, and as a row.
  await settleAs(at, me, [ofStream(one!), ofStream(two!)], [asideOf(twoNewer!, { takenBy: me })])
  await at.outbox.pool.query(
    `insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, is_manual, due_at)
     select $1, share, entity_type, entity_id, id, true, now() from walhook.events where id = any($2)`,
    [webhook, [one!.eventId, two!.eventId]],
  )
  await takeOver(at.outbox, { deadId: me, beat: 1n })
  expect(await allRows(at)).toEqual([
    `${webhook} 1 new: waits`,
    `${webhook} 1 update: behind`,
    `${webhook} 2 new: waits`,
    `${webhook} 2 update: waits`,
  ])
  expect(oneNewer).toBeDefined()
})

test('of two simultaneous takeovers one succeeds, and an earlier heartbeat keeps its holder', async () => {
  await using at = await openTestOutbox()
  const { holderId: me } = await join(at.outbox, { aliveMs })
  await claimShares(at.outbox, { holderId: me, max: 12 })
  await beat(at.outbox, { holderId: me, aliveMs, maySendUpTo: 0n })
  expect(await takeOver(at.outbox, { deadId: me, beat: 0n })).toEqual({ kind: 'needless' })
  const both = await Promise.all([1, 2, 3].map(() => takeOver(at.outbox, { deadId: me, beat: 1n })))
  expect(both.filter(({ kind }) => kind === 'taken').length).toBe(1)
  expect(await rowsOf(at)).toEqual([])
})

/** How many rows of the outbox were read so far. */
async function rowsRead(at: TestOutbox): Promise<number> {
  await at.outbox.pool.query('select pg_stat_force_next_flush()')
  const { rows } = await at.outbox.pool.query(
    `select (select sum(seq_tup_read) from pg_stat_user_tables where schemaname = 'walhook')
          + (select sum(idx_tup_read) from pg_stat_user_indexes where schemaname = 'walhook') as count`,
  )
  return Number(rows[0].count)
}

test.each([['never analyzed'], ['analyzed before'], ['analyzed now']])(
  'a takeover reads only the range after the saved position: %s',
  async known => {
    await using at = await openTestOutbox()
    const webhooks = [await at.webhook(everyUser), await at.webhook(everyUser), await at.webhook(everyUser)]
    const [old, between] = [20_000, 2_000]
    await keepStatistics(at)
    if (known === 'analyzed before') await at.outbox.pool.query('analyze')
    await at.fill(old)
    const me = await joined(at)
    const { first, last } = await at.fill(between)
    await at.outbox.pool.query(
      `insert into walhook.attempts (webhook_id, trigger, event_id, message_id, entity_type, entity_id, action_type, number, url,
                                     request_headers, started_at, duration_ms, status, outcome)
       select w.id, 'schedule', e.id, 'x', e.entity_type, e.entity_id, e.action_type, 1, 'x', '{}', now(), 1, 204, 'delivered'
       from walhook.events e cross join walhook.webhooks w where e.id < $1`,
      [last - 5n],
    )
    if (known === 'analyzed now') await at.outbox.pool.query('analyze')
    await saveProgress(at.outbox, {
      holderId: me,
      main: allShares.map(share => ({ share, settledUpTo: first - 1n })),
      streams: [],
      gone: [],
    })
    await beat(at.outbox, { holderId: me, aliveMs, maySendUpTo: last })
    const before = await rowsRead(at)
    expect(await takeOver(at.outbox, { deadId: me, beat: 1n })).toMatchObject({
      setAside: 6 * webhooks.length,
    })
    const after = await rowsRead(at)
    // For each event and webhook its state and its attempt.
    expect(after - before).toBeLessThan(12 * between * webhooks.length)
  },
)
