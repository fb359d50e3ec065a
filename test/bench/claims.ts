import { randomUUID } from 'node:crypto'
import { claim } from '../../src/outbox/claim.ts'
import { giveBack } from '../../src/outbox/lanes.ts'
import { openQueue, type Queue } from './delivery-queue.ts'
import { msText, quantile, table } from './figures.ts'
import type { Stage } from './stage.ts'

const smallRows = 100
const claimedLanes = 100
const warmUps = 20
const rounds = 200
const vacuumEvery = 50
/** Longer ago than any lane of the backlog was due: the next claim gets the same ones. */
const firstDueMs = 2 * 3_600_000
const target = 'http://127.0.0.1:1/'

/** Fills a queue with `rows` deliveries, and returns the webhook whose lanes are claimed. */
type Shape = readonly [name: string, fill: (queue: Queue, rows: number) => Promise<number>]

const shapes: readonly Shape[] = [
  [
    'all distinct entities',
    async (queue, rows) => {
      const webhook = await queue.webhook(target)
      await queue.fill(webhook, rows, 1, await queue.events(1, `'{}'`), false)
      return webhook
    },
  ],
  [
    '100 hot entities',
    async (queue, rows) => {
      const webhook = await queue.webhook(target)
      const perEntity = Math.ceil(rows / 100)
      await queue.fill(webhook, 100, perEntity, await queue.events(perEntity, `'{}'`), false)
      return webhook
    },
  ],
  [
    'one dead webhook beside',
    async (queue, rows) => {
      const dead = await queue.webhook(target)
      const first = await queue.events(1, `'{}'`)
      await queue.fill(dead, rows, 1, first, false)
      const webhook = await queue.webhook(target)
      await queue.fill(webhook, claimedLanes, 1, first, false)
      return webhook
    },
  ],
  [
    'one entity with up to 100,000, beside others',
    async (queue, rows) => {
      const webhook = await queue.webhook(target)
      const waiting = Math.min(rows, 100_000)
      const first = await queue.events(waiting, `'{}'`)
      await queue.fill(webhook, 1, waiting, first, false)
      await queue.fill(webhook, Math.max(claimedLanes - 1, rows - waiting), 1, first, false, 'other ')
      return webhook
    },
  ],
]

/**
 * How long a claim of 100 lanes takes in front of 100 deliveries and in front of `rows` of them, in several shapes. The
 * two queues are in databases of their own and take turns, so that what else the machine does meets both. What was
 * claimed is given back as the first that is due, so that every claim meets the same lanes and the same backlog.
 */
export async function measureClaims(stage: Stage, rows: number): Promise<string> {
  const lines: string[][] = []
  for (const [name, fill] of shapes) {
    const small = await openFilled(stage, fill, smallRows)
    const large = await openFilled(stage, fill, rows)
    for (let round = 0; round < warmUps + rounds; round++) {
      for (const queue of round % 2 === 0 ? [small, large] : [large, small])
        await queue.claimOnce(round >= warmUps)
      if (round % vacuumEvery === vacuumEvery - 1) for (const queue of [small, large]) await queue.vacuum()
    }
    const cells = (q: number) => {
      const [before, after] = [quantile(small.tookMs, q), quantile(large.tookMs, q)]
      return [msText(before), msText(after), (after / before).toFixed(2)]
    }
    lines.push([name, ...cells(0.5), ...cells(0.99)])
    for (const queue of [small, large]) await queue.drop()
  }
  const count = rows.toLocaleString('en')
  return `A claim of ${claimedLanes} lanes in front of ${smallRows} deliveries and of ${count}, ${rounds} of each in turns; vacuumed after every ${vacuumEvery}.

${table(['backlog', `p50 at ${smallRows}`, `at ${count}`, 'ratio', `p99 at ${smallRows}`, `at ${count}`, 'ratio'], lines)}`
}

async function openFilled(stage: Stage, fill: Shape[1], rows: number) {
  const place = await stage.place({ async prepare() {} })
  const queue = await openQueue(place.url)
  const webhookId = await queue.withoutLog(() => fill(queue, rows))
  await queue.analyze()
  await queue.outbox.pool.query('checkpoint')
  const tookMs: number[] = []
  return {
    tookMs,

    async claimOnce(counts: boolean) {
      const lease = randomUUID()
      const startMs = performance.now()
      const { shipments } = await claim(queue.outbox, {
        webhookId,
        mode: 'every',
        batch: null,
        limit: claimedLanes,
        lease,
        leaseMs: 30_000,
      })
      if (counts) tookMs.push(performance.now() - startMs)
      if (shipments.length !== claimedLanes) throw new Error(`${shipments.length} lanes were claimed`)
      await giveBack(
        queue.outbox,
        shipments.map(({ deliveries: [{ entityType, entityId }] }) => ({
          webhookId,
          entityType,
          entityId,
          lease,
          dueInMs: -firstDueMs,
        })),
      )
    },

    vacuum: () => queue.outbox.pool.query('vacuum walhook.lanes'),

    async drop() {
      await queue[Symbol.asyncDispose]()
      await stage.drop(place)
    },
  }
}
