import { connect } from '../support/connect.ts'
import type { Contender } from './contenders/contender.ts'
import { median, msText, perSecond, quantile, rateText, table } from './figures.ts'
import { writeAtRate } from './latency.ts'
import type { Stage } from './stage.ts'
import { writeUsers } from './users.ts'

const rounds = 3
const rowsAtFull = 6_000
const offeredRate = 1_000
const offeredS = 4
const writers = 4

/** The application alone: nothing reads its changes. */
export const nothing: Contender = {
  name: 'nothing',
  setup: 'the application alone',
  async prepare() {},
  async start() {
    return { pid: process.pid, async [Symbol.asyncDispose]() {} }
  },
}

type Cost = { readonly full: number; readonly offered: number; readonly p99Ms: number }

/**
 * What the application pays while a contender delivers: the rows per second that one connection inserts as fast as it can,
 * one row per transaction; and at a steady offered load, the rate that is reached and the p99 of an insert. Everything
 * shares the machine's cores, so this counts what the contender's CPU takes from the application too.
 */
async function measureCost(stage: Stage, contender: Contender): Promise<Cost> {
  const place = await stage.place(contender)
  try {
    await using _worker = await contender.start(place)
    const clients = await Promise.all(Array.from({ length: writers }, () => connect(place.url)))
    const [psql] = clients
    await writeUsers(psql!, { first: 0, rows: 500, perTransaction: 1 })
    const fullMs = await timed(() => writeUsers(psql!, { first: 500, rows: rowsAtFull, perTransaction: 1 }))
    for (const client of clients) await client.query('set synchronous_commit = off')
    const durations: number[] = []
    const rows = offeredRate * offeredS
    const load = { first: 100_000, rows, rate: offeredRate }
    const offeredMs = await timed(() => writeAtRate(clients, load, ms => durations.push(ms)))
    await Promise.all(clients.map(client => client.end()))
    return {
      full: perSecond(rowsAtFull, fullMs),
      offered: perSecond(rows, offeredMs),
      p99Ms: quantile(durations, 0.99),
    }
  } finally {
    await stage.leave(place)
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now()
  await work()
  return performance.now() - startMs
}

/** The application's rates with each contender, as ratios to the application alone in the same round. */
export async function measureApplication(stage: Stage, contenders: readonly Contender[]) {
  const costsOf = new Map<Contender, (Cost & { fullRatio: number; offeredRatio: number })[]>()
  for (let round = 0; round < rounds; round++) {
    let alone: Cost | null = null
    for (const contender of [nothing, ...contenders]) {
      const cost = await measureCost(stage, contender)
      alone ??= cost
      const ratios = { fullRatio: cost.full / alone.full, offeredRatio: cost.offered / alone.offered }
      costsOf.set(contender, [...(costsOf.get(contender) ?? []), { ...cost, ...ratios }])
    }
  }
  const rows = [...costsOf].map(([contender, costs]) => {
    const of = (pick: (cost: (typeof costs)[number]) => number) => median(costs.map(pick))
    return {
      name: contender.name,
      full: of(cost => cost.full),
      fullRatio: of(cost => cost.fullRatio),
      offeredRatio: of(cost => cost.offeredRatio),
      p99Ms: of(cost => cost.p99Ms),
    }
  })
  const text = table(
    [
      'while it delivers',
      'inserts at full speed',
      'of nothing',
      `of nothing at ${offeredRate}/s offered`,
      'p99 of an insert there',
    ],
    rows.map(row => [
      row.name,
      rateText(row.full),
      row.fullRatio.toFixed(2),
      row.offeredRatio.toFixed(2),
      msText(row.p99Ms),
    ]),
  )
  return { rows, text }
}
