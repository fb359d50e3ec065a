import { expect, test } from 'vitest'
import { latestOf } from '../../src/outbox/aside/latest.ts'
import { cancelRows, skipWaiting } from '../../src/outbox/by-hand/cancel.ts'
import { countReplay } from '../../src/outbox/by-hand/count-replay.ts'
import { forgetEntity } from '../../src/outbox/by-hand/forget.ts'
import { replay } from '../../src/outbox/by-hand/replay.ts'
import { resendEvent } from '../../src/outbox/by-hand/resend.ts'
import { type Outbox, transaction } from '../../src/outbox/database/database.ts'
import { openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { countRows } from '../support/row-counter.ts'
import { claim, holderOf } from '../support/sending.ts'
import { keepStatistics } from '../support/statistics.ts'
import { leaveBehind, setAsideMany } from '../support/waiting.ts'

const waiting = 20_000
const tables = ['deliveries', 'batches', 'events', 'streams', 'ended_deliveries', 'attempts', 'skips']

/** What was there when the statistics were made, before everything that waits came. */
const ages: Record<string, (at: TestOutbox, webhookId: number) => Promise<void>> = {
  async 'nothing known'() {},
  async 'analyzed while empty'(at) {
    await at.outbox.pool.query(`analyze ${tables.map(table => `walhook.${table}`).join(', ')}`)
  },
  async 'one row'(at, webhookId) {
    await setAsideMany(at, webhookId, 1)
    await at.outbox.pool.query(`analyze ${tables.map(table => `walhook.${table}`).join(', ')}`)
  },
  async 'of today'() {},
}

type Turn = {
  readonly outbox: Outbox
  readonly webhookId: number
  readonly id: bigint
  readonly entityId: string
}

/** By hand, each about one event, or about a hundred, of which the last is `id`. */
const acts: Record<string, (turn: Turn) => Promise<unknown>> = {
  resend: ({ outbox, webhookId, id }) =>
    transaction(outbox.pool, client => resendEvent(client, { webhookId, eventId: id })),
  replay: ({ outbox, webhookId, id }) =>
    replay(
      outbox,
      {
        ...{ webhookId, after: null, pageEvents: 50 },
        source: { of: 'ids', ids: Array.from({ length: 100 }, (_, i) => id - BigInt(i)) },
      },
      { isTimeOver: () => false, onQueued: async () => {} },
    ),
  'cancel one': ({ outbox, webhookId, id, entityId }) =>
    cancelBoth(outbox, { webhookId, entity: { entityType: 'user', entityId }, eventId: id, upTo: id }),
  'cancel an entity': ({ outbox, webhookId, id, entityId }) =>
    cancelBoth(outbox, { webhookId, entity: { entityType: 'user', entityId }, eventId: null, upTo: id }),
  'cancel a page': ({ outbox, webhookId, id }) =>
    cancelBoth(outbox, { webhookId, entity: null, eventId: null, upTo: id }),
  forget: ({ outbox, id, entityId }) =>
    forgetEntity(outbox, { entityType: 'user', entityId }, id, () => false),
}

async function cancelBoth(outbox: Outbox, waiting: Parameters<typeof cancelRows>[1]) {
  await transaction(outbox.pool, client => cancelRows(client, waiting, 100))
  await transaction(outbox.pool, client => skipWaiting(client, waiting))
}

test.each(Object.keys(ages))('manual actions read little of a long queue, with statistics: %s', async age => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(['user.new'])
  await holderOf(at)
  await keepStatistics(at)
  await ages[age]!(at, webhookId)
  const rows = await setAsideMany(at, webhookId, waiting, { fromEntity: 10_000 })
  const log = await leaveBehind(at, webhookId, waiting, { fromEntity: 100_000 })
  if (age === 'of today') await at.outbox.pool.query('analyze')
  const counted = countRows(at.outbox)
  for (const [name, act] of Object.entries(acts))
    for (const [first, fromEntity] of [
      [rows.first, 10_000],
      [log.first, 100_000],
    ] as const) {
      counted.rows.clear()
      const entityId = String(fromEntity + 500)
      await act({ outbox: counted.outbox, webhookId, id: first + 500n, entityId })
      const [worst, max] = [...counted.rows].sort(([, a], [, b]) => b - a)[0]!
      expect(max, `${name}: ${worst}`).toBeLessThan(8_000)
    }
})

test.each(Object.keys(ages))(
  'superseded events are found without reading the queue, with statistics: %s',
  async age => {
    await using at = await openTestOutbox()
    const webhookId = await at.webhook(['user.new'], true, { mode: 'latest' })
    const holderId = await holderOf(at)
    await keepStatistics(at)
    await ages[age]!(at, webhookId)
    const first = await setAsideMany(at, webhookId, waiting, { fromEntity: 10_000 })
    const deliveries = await claim(at, webhookId, 60)
    await at.fill(waiting, { fromEntity: 10_000 })
    if (age === 'of today') await at.outbox.pool.query('analyze')
    const counted = countRows(at.outbox)
    const checked = await latestOf(counted.outbox, {
      holderId,
      webhookId,
      deliveries,
      readUpTo: () => first.last,
    })
    expect(checked.superseded.length).toBeGreaterThanOrEqual(59)
    const [worst, max] = [...counted.rows].sort(([, a], [, b]) => b - a)[0]!
    expect(max, worst).toBeLessThan(8_000)
  },
)

test.each(Object.keys(ages))(
  'the size of a replay is estimated from the ends of its range, with statistics: %s',
  async age => {
    await using at = await openTestOutbox()
    const webhookId = await at.webhook(['user.new'])
    const ofTenant = await at.webhook(['user.new'], true, { tenant: 'acme' })
    await ages[age]!(at, webhookId)
    await at.append('user 1 new acme', 'user 2 new bravo')
    await at.fill(waiting)
    await at.append('user 3 update bravo acme', 'user 4 new acme')
    if (age === 'of today') await at.outbox.pool.query('analyze')
    const counted = countRows(at.outbox)
    const range = { of: 'range', from: 0n, to: 2n ** 62n, triggers: null } as const
    const missed = { ...range, missed: { from: 0, to: null } }
    for (const source of [range, missed]) {
      const all = await countReplay(counted.outbox, webhookId, source, { tenant: null, maxScanned: 100 })
      expect(all).toMatchObject({ isExact: false })
      const own = await countReplay(counted.outbox, ofTenant, source, { tenant: 'acme', maxScanned: 100 })
      expect(own).toEqual({ count: 2, isExact: true })
    }
    const [worst, max] = [...counted.rows].sort(([, a], [, b]) => b - a)[0]!
    expect(max, worst).toBeLessThan(2_000)
  },
)
