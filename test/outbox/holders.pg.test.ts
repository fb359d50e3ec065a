import type { Socket } from 'node:net'
import pg from 'pg'
import { expect, test } from 'vitest'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { lockHolder } from '../../src/outbox/database/fence.ts'
import { beat } from '../../src/outbox/holders/beats.ts'
import { claimShares, join, leave, releaseShares } from '../../src/outbox/holders/holders.ts'
import { readStreams, saveProgress } from '../../src/outbox/holders/streams.ts'
import { takeOver } from '../../src/outbox/settle/takeover.ts'
import { connect } from '../support/connect.ts'
import { asideOf, busyHolder, joined, rowsOf, settleAs, streamed } from '../support/holding.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { everyUser, untilWaiting } from '../support/outbox-traffic.ts'
import { until } from '../support/wait.ts'

const aliveMs = 25_000

test('holders see each other, their shares, and the end of the log', async () => {
  await using at = await openTestOutbox()
  const [first, second] = [await joined(at, 7), await joined(at, 9)]
  const [, last] = await at.append('user 1 new', 'user 2 new')
  await beat(at.outbox, { holderId: second, aliveMs, maySendUpTo: 5n })
  const heard = await beat(at.outbox, { holderId: first, aliveMs, maySendUpTo: last! })
  expect(heard).toMatchObject({
    // Of itself, the beat before.
    holders: [
      { id: first, beat: 0n },
      { id: second, beat: 1n },
    ],
    head: last,
  })
  expect(heard!.shares.map(({ holderId }) => holderId)).toEqual([
    ...Array(7).fill(first),
    ...Array(5).fill(second),
  ])
  const { rows } = await at.outbox.pool.query(
    `select may_send_up_to, alive_until > clock_timestamp() + interval '20 s' as lives from walhook.holders order by id`,
  )
  expect(rows).toEqual([
    { may_send_up_to: last, lives: true },
    { may_send_up_to: 5n, lives: true },
  ])
})

test("a heartbeat does not wait for settlements; releasing and leaving wait for the holder's own", async () => {
  await using at = await openTestOutbox()
  const me = await joined(at)
  const letGo = await busyHolder(at, me)
  expect(await beat(at.outbox, { holderId: me, aliveMs, maySendUpTo: 0n })).not.toBe(null)
  const released = releaseShares(at.outbox, { holderId: me, shares: [0, 1] })
  await untilWaiting(at, 1, 'the release to wait')
  await letGo()
  await released
  expect(await at.count('shares', 'holder_id is null')).toBe(2)
  // All that it serves, with the one that is new.
  const served = (await claimShares(at.outbox, { holderId: me, max: 1 })).map(({ share }) => share)
  expect(served).toEqual([0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
})

test('a leaving holder frees its shares, and its rows are due once nothing can be in flight', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const me = await joined(at)
  const [first, next] = await streamed(at, webhook, await at.append('user 1 new', 'user 1 update'))
  await settleAs(at, me, [], [asideOf(first!, { takenBy: me }), asideOf(next!)])
  await leave(at.outbox, { holderId: me })
  expect(await at.count('holders')).toBe(0)
  expect(await at.count('shares', 'holder_id is null')).toBe(12)
  expect(await rowsOf(at)).toEqual(['1 new: later', '1 update: behind'])
  expect(await beat(at.outbox, { holderId: me, aliveMs, maySendUpTo: 0n })).toBe(null)
})

test('freed shares and new holders cause notifications: a sole holder rests between its heartbeats', async () => {
  await using at = await openTestOutbox()
  const [releasing, leaving, dead] = [await joined(at, 1), await joined(at, 1), await joined(at, 1)]
  await using listener = await connect(at.database.url)
  const heard: (string | undefined)[] = []
  listener.on('notification', ({ payload }) => heard.push(payload))
  await listener.query('listen walhook_outbox')
  const hears = (count: number) => until(() => heard.length === count, { what: `notification ${count}` })
  await releaseShares(at.outbox, { holderId: releasing, shares: [0], isLeaving: true })
  await hears(1)
  await leave(at.outbox, { holderId: leaving })
  await hears(2)
  await takeOver(at.outbox, { deadId: dead, beat: 0n })
  await hears(3)
  await join(at.outbox, { aliveMs })
  await hears(4)
  expect(heard).toEqual(Array(4).fill('shares'))
  const told = await beat(at.outbox, { holderId: releasing, aliveMs, maySendUpTo: 0n })
  expect(told!.holders).toMatchObject([{ id: releasing, isLeaving: true }, { isLeaving: false }])
})

test('positions of streams only increase, only for own shares, and are deleted with their webhook', async () => {
  await using at = await openTestOutbox()
  const [webhook, other] = [await at.webhook(everyUser), await at.webhook(everyUser)]
  const me = await joined(at, 2)
  const save = (progress: Partial<Parameters<typeof saveProgress>[1]>) =>
    saveProgress(at.outbox, { holderId: me, main: [], streams: [], gone: [], ...progress })
  const places = async () =>
    (await readStreams(at.outbox, [0, 1, 2])).map(each => Object.values(each).map(Number))
  const ownPlace = (webhookId: number, share: number, settledUpTo: bigint, maySendUpTo: bigint) => ({
    webhookId,
    share,
    settledUpTo,
    maySendUpTo,
  })
  await save({
    main: [
      { share: 0, settledUpTo: 50n },
      { share: 2, settledUpTo: 50n },
    ],
    streams: [ownPlace(webhook, 0, 10n, 20n), ownPlace(webhook, 2, 10n, 20n), ownPlace(9_999, 0, 1n, 1n)],
  })
  expect(await places()).toEqual([[webhook, 0, 10, 20]])
  await save({
    main: [{ share: 0, settledUpTo: 40n }],
    streams: [ownPlace(webhook, 0, 5n, 30n), ownPlace(other, 1, 8n, 3n)],
  })
  expect((await places()).toSorted()).toEqual([
    [webhook, 0, 10, 30],
    [other, 1, 8, 8],
  ])
  const { rows } = await at.outbox.pool.query(
    `select share, settled_up_to::int as place from walhook.shares where share in (0, 2) order by 1`,
  )
  expect(rows).toEqual([
    { share: 0, place: 50 },
    { share: 2, place: 0 },
  ])
  await save({ gone: [{ webhookId: webhook, share: 0 }] })
  expect(await places()).toEqual([[other, 1, 8, 8]])
})

test('after a takeover, the former holder can change nothing', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const [old, other] = [await joined(at, 6), await joined(at)]
  await at.append('user 1 new')
  expect(await takeOver(at.outbox, { deadId: old, beat: 0n })).toMatchObject({ kind: 'taken' })
  const main = [{ share: 0, settledUpTo: 2n ** 61n }]
  const streams = [{ webhookId: webhook, share: 0, settledUpTo: 1n, maySendUpTo: 1n }]
  expect(await saveProgress(at.outbox, { holderId: old, main, streams, gone: [] })).toBe(false)
  expect(await beat(at.outbox, { holderId: old, aliveMs, maySendUpTo: 9n })).toBe(null)
  expect(await claimShares(at.outbox, { holderId: old, max: 12 })).toEqual([])
  expect(await takeOver(at.outbox, { deadId: old, beat: 0n })).toEqual({ kind: 'needless' })
  await releaseShares(at.outbox, { holderId: old, shares: [6, 7] })
  await leave(at.outbox, { holderId: old })
  expect(await at.count('shares', `holder_id = ${other}`)).toBe(6)
  expect(await at.count('shares', 'holder_id is null')).toBe(6)
  expect(await at.count('streams')).toBe(0)
  expect((await claimShares(at.outbox, { holderId: other, max: 12 })).length).toBe(12)
})

test.each([
  ['before its next statement', 'select', 'idle in transaction'],
  ['before it has taken an answer', `select repeat('x', 50000000)`, 'active'],
])(
  'a process that is suspended inside a transaction, %s, does not block others: its session is ended',
  async (_, statement, state) => {
    await using at = await openTestOutbox()
    const { holderId: dead } = await join(at.outbox, { aliveMs })
    const client = new pg.Client(at.database.url)
    client.on('error', () => {})
    await client.connect()
    await client.query('begin')
    await lockHolder(client, dead)
    const { rows } = await client.query('select pg_backend_pid() as pid')
    // It takes no answer any more.
    const { stream } = (client as unknown as { connection: { stream: Socket } }).connection
    stream.pause()
    const answer = client.query(statement).catch(() => 'lost')
    const stopped = async () =>
      (
        await at.outbox.pool.query('select state, wait_event_type from pg_stat_activity where pid = $1', [
          rows[0].pid,
        ])
      ).rows[0]
    await until(async () => (await stopped()).wait_event_type === 'Client', { what: 'the session to wait' })
    expect((await stopped()).state).toBe(state)
    // What has just begun to wait may go on.
    expect(await takeOver(at.outbox, { deadId: dead, beat: 0n })).toEqual({
      kind: 'blocked',
      ended: [],
      waitedFor: [rows[0].pid],
    })
    expect(await at.count('holders')).toBe(1)
    await until(async () => (await takeOver(at.outbox, { deadId: dead, beat: 0n })).kind === 'taken', {
      what: 'the takeover',
    })
    expect(await stopped()).toBe(undefined)
    stream.resume()
    await answer
    await client.end()
    expect(await at.count('holders')).toBe(0)
  },
)

test('a suspended session is ended also where logging in sets another role', async () => {
  await using at = await openTestOutbox()
  const name = at.database.name.slice(0, 50)
  const [owner, login] = [`${name}_owner`, `${name}_login`]
  const { pool } = at.outbox
  await pool.query(`
    create role ${owner}; create role ${login} login password 'walhook' in role ${owner};
    alter role ${login} set role = ${owner};
    grant usage on schema walhook to ${owner}; grant all on all tables in schema walhook to ${owner};
    grant all on all sequences in schema walhook to ${owner}`)
  const url = new URL(at.database.url)
  url.username = login
  url.password = 'walhook'
  try {
    await using outbox = openOutbox({ url: url.href, maxConnections: 4, onError() {} })
    const { holderId: dead } = await join(outbox, { aliveMs })
    const stopped = await outbox.pool.connect()
    await stopped.query('begin')
    await lockHolder(stopped, dead)
    const { rows } = await stopped.query('select current_user as role')
    expect(rows[0].role).toBe(owner)
    await until(async () => (await takeOver(outbox, { deadId: dead, beat: 0n })).kind === 'taken', {
      what: 'the takeover',
    })
    stopped.release(true)
  } finally {
    await pool.query(`drop owned by ${owner}, ${login}; drop role ${login}, ${owner}`)
  }
})
