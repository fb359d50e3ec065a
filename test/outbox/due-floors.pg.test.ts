import { expect, test } from 'vitest'
import { busyWebhooks } from '../../src/outbox/busy.ts'
import { claim } from '../../src/outbox/claim.ts'
import { createDueFloors } from '../../src/outbox/due-floors.ts'
import { openTestOutbox } from '../support/open-outbox.ts'

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 12, 0, second))

test('there is a floor only after a slow look: the earliest lane seen, and at least a minute back', () => {
  let nowMs = 0
  const floors = createDueFloors(() => nowMs)
  expect([floors.of(1), floors.all(), floors.isDoubtful()]).toEqual([null, null, true])
  const earliest = [
    { id: 1, dueAt: at(-90) },
    { id: 2, dueAt: at(-10) },
    { id: 3, dueAt: at(500) },
  ]
  floors.sawAll({ tookMs: 21, at: at(0), earliest })
  expect([1, 2, 3, 4].map(floors.of)).toEqual([at(-90), at(-60), at(-60), at(-60)])
  expect(floors.isDoubtful()).toBe(false)
  nowMs = 30_000
  expect(floors.isDoubtful()).toBe(true)
  expect(floors.of(4)).toEqual(at(-60))
  floors.sawAll({ tookMs: 20, at: at(30), earliest })
  expect([floors.of(1), floors.all()]).toEqual([null, null])
})

test('lanes are looked for above the floor, and everywhere now and then', async () => {
  await using outbox = await openTestOutbox()
  const [old, fresh] = [await outbox.webhook(['user.new']), await outbox.webhook(['user.new'])]
  await outbox.append('user 1 new', 'user 2 new')
  const hours = (n: number) => `now() - interval '${n} hours'`
  await outbox.outbox.pool.query(
    `update walhook.lanes set due_at = ${hours(3)} where webhook_id = ${old} and entity_id = '1'`,
  )
  let nowMs = 0
  const floors = createDueFloors(() => nowMs)
  const seen = async (among: 'all' | number[] = 'all') =>
    (await busyWebhooks(outbox.outbox, among, floors)).map(({ id }) => id).sort()
  const claimed = async (webhookId: number) => {
    const input = {
      webhookId,
      mode: 'every',
      limit: 9,
      batch: null,
      lease: crypto.randomUUID(),
      leaseMs: 60_000,
    } as const
    const { shipments } = await claim(outbox.outbox, { ...input, dueFrom: floors.of(webhookId) })
    return shipments.map(({ deliveries }) => deliveries[0].entityId)
  }
  floors.sawAll({ tookMs: 100, at: new Date(), earliest: [] })
  expect(await claimed(old)).toEqual(['2'])
  expect(await seen()).toEqual([old, fresh])
  await outbox.outbox.pool.query(`update walhook.lanes set due_at = ${hours(2)} where webhook_id = ${old}`)
  expect(await seen()).toEqual([fresh])
  expect(await seen([old])).toEqual([])
  expect(await seen([old, fresh])).toEqual([fresh])
  // The floor of a webhook is at or below its earliest lane that was seen.
  floors.sawAll({
    tookMs: 100,
    at: new Date(),
    earliest: [{ id: old, dueAt: new Date(Date.now() - 9_000_000) }],
  })
  expect(await seen()).toEqual([old, fresh])
  floors.sawAll({ tookMs: 100, at: new Date(), earliest: [] })
  expect(await seen()).toEqual([fresh])
  nowMs = 30_000
  expect(await seen()).toEqual([old, fresh])
})
