import { expect, test } from 'vitest'
import type { LaneKey } from '../../src/outbox/cancel.ts'
import { transaction } from '../../src/outbox/database.ts'
import { knownEntityPages } from '../../src/outbox/gaps.ts'
import { leaseDueLanes, release } from '../../src/outbox/lanes.ts'
import { replay } from '../../src/outbox/replay.ts'
import { settle } from '../../src/outbox/settle.ts'
import { supersede } from '../../src/outbox/supersede.ts'
import { deleteWebhook } from '../../src/outbox/webhooks.ts'
import { cancelPage, openTestOutbox, settlementOf, type TestOutbox } from '../support/open-outbox.ts'
import { everyUser, holdUp, untilWaiting } from '../support/outbox-traffic.ts'

/** In the order of their bytes. In JavaScript's order ～ is the last, and in that of English B is. */
const ids = ['B', 'a', '～', '😀']
const last = '😀'
const all = (action: string) => ids.toReversed().map(id => `user ${id} ${action}`)

const waiting = { entity: null, eventId: null, upTo: 2n ** 62n }
const everything = { of: 'range', from: 0n, to: 2n ** 62n, triggers: null } as const

async function sortsAsEnglish({ outbox }: TestOutbox): Promise<boolean> {
  const { rows } = await outbox.pool.query(`select 'a' < 'B' as is_english`)
  return rows[0].is_english
}

const notEnglish =
  'text is sorted by its bytes in this database: the server has no ICU, or is older than PostgreSQL 15'

/** What locks several lanes of a webhook and waits for those that somebody else has locked; each gets its work ready first. */
const lockers: [string, (at: TestOutbox, webhookId: number) => Promise<() => Promise<unknown>>][] = [
  ['an append', async at => () => at.append(...all('update'))],
  [
    'a settlement',
    async (at, webhookId) => {
      const claimed = await at.claim(webhookId)
      return () =>
        settle(
          at.outbox,
          claimed.map(lane => settlementOf(lane)),
        )
    },
  ],
  [
    'a release',
    async (at, webhookId) => {
      const claimed = await at.claim(webhookId)
      return () => release(at.outbox, claimed)
    },
  ],
  [
    'a claim of the latest',
    async (at, webhookId) => {
      await at.append(...all('update'))
      const lease = crypto.randomUUID()
      const lanes = await leaseDueLanes(at.outbox, { webhookId, limit: 100, lease, leaseMs: 60_000 })
      return () => supersede(at.outbox, { webhookId, lease, lanes })
    },
  ],
  [
    'a cancellation',
    async (at, webhookId) => () => cancelPage(at, { ...waiting, webhookId }, { after: null, limit: 100 }),
  ],
  [
    'a replay',
    async (at, webhookId) => {
      await at.outbox.pool.query('delete from walhook.deliveries')
      return () => replayed(at, webhookId, { after: null, pageEvents: 100 })
    },
  ],
  [
    'a deletion',
    async (at, webhookId) => () => transaction(at.outbox.pool, client => deleteWebhook(client, webhookId)),
  ],
]

const replayed = (
  at: TestOutbox,
  webhookId: number,
  page: { after: LaneKey | null; pageEvents: number },
  isTimeOver = () => false,
) => replay(at.outbox, { webhookId, source: everything, ...page }, { isTimeOver, onQueued: async () => {} })

test.each(lockers)(
  '%s locks lanes in the order of their bytes, as all others do, whatever the order of the database is',
  async (_what, prepare) => {
    await using at = await openTestOutbox()
    const webhookId = await at.webhook(everyUser)
    // In the table they come the other way round.
    for (const line of all('new')) await at.append(line)
    const act = await prepare(at, webhookId)
    const letGo = await holdUp(at, `select from walhook.lanes where entity_id = '${last}' for update`)
    const acted = act()
    await untilWaiting(at, 1, 'it to wait for the lane that is the last')
    const { rows: notLocked } = await at.outbox.pool.query(
      'select entity_id from walhook.lanes for update skip locked',
    )
    await letGo()
    await acted
    expect(notLocked).toEqual([])
  },
)

test('pages in the order of lanes hold each lane once, whatever the order of the database is', async context => {
  const more = [...ids, 'A', 'b', 'é', 'e', 'f', 'a-b', 'ab', '10', '9', '', 'Ａ', '\u{10ffff}', '\uffff']
  for (const pageSize of [1, 2, 5]) {
    await using at = await openTestOutbox()
    if (!(await sortsAsEnglish(at))) context.skip(notEnglish)
    const webhookId = await at.webhook(everyUser)
    await at.append(...more.map(id => `user ${id} new`))
    // A page of nothing but these has nothing to cancel.
    const inFlight = (await at.claim(webhookId, 9)).map(({ entityId }) => entityId)

    let [cancelled, after]: [number, LaneKey | null] = [0, null]
    do {
      const page: Awaited<ReturnType<typeof cancelPage>> = await cancelPage(
        at,
        { ...waiting, webhookId },
        { after, limit: pageSize },
      )
      cancelled += page.cancelled
      after = page.next
    } while (after !== null)
    expect(cancelled).toBe(more.length - inFlight.length)

    let queued = 0
    do {
      let pages = 0
      const part = await replayed(at, webhookId, { after, pageEvents: pageSize }, () => pages++ > 0)
      if (part.state !== 'queued') throw new Error(part.state)
      queued += part.queued
      after = part.next
    } while (after !== null)
    expect(queued).toBe(cancelled)

    const known = await transaction(at.outbox.pool, async client => {
      const pages = knownEntityPages(client, 'user', { upToId: 2n ** 62n, pageSize })
      return (await Array.fromAsync(pages)).flat()
    })
    expect(known.toSorted()).toEqual(more.toSorted())
  }
})
