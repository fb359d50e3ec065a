import { connect } from '../support/connect.ts'
import { until } from '../support/wait.ts'
import type { Contender } from './contenders/contender.ts'
import { walhook, walhookInTwo } from './contenders/walhook.ts'
import { median, perSecond, rateText, table } from './figures.ts'
import { postBare, postBesideWrites } from './limits.ts'
import { type Stage, startMeter } from './stage.ts'
import { writeUsers } from './users.ts'

const timeoutMs = 180_000
const rounds = 3

type Drain = {
  readonly rate: number
  readonly workerS: number
  readonly postgresS: number
  readonly highestMb: number
}

/**
 * Writes rows while a contender runs and waits until the receiver has had as many requests: events per second from the
 * first commit to the last receipt. Half as many went the same way before, so that what is measured is not the start of a
 * process, whose code is not compiled yet.
 */
export async function drain(
  stage: Stage,
  contender: Contender,
  load: { rows: number; perTransaction: number },
): Promise<Drain> {
  const place = await stage.place(contender)
  try {
    await using worker = await contender.start(place)
    await using psql = await connect(place.url)
    const deliver = async (part: { first: number; rows: number }) => {
      const before = await stage.receiver.count()
      await writeUsers(psql, { ...load, ...part })
      await until(async () => (await stage.receiver.count()) - before >= part.rows, {
        what: `${contender.name} to deliver ${part.rows} events`,
        timeoutMs,
        intervalMs: 25,
      })
    }
    const warmUp = load.rows / 2
    await deliver({ first: 0, rows: warmUp })
    const stop = startMeter(stage, worker.pid, ...(worker.morePids ?? []))
    const startMs = performance.now()
    await deliver({ first: warmUp, rows: load.rows })
    const rate = perSecond(load.rows, performance.now() - startMs)
    const { workerS, postgresS, highestMb } = stop()
    const per = 1_000 / load.rows
    return { rate, workerS: workerS * per, postgresS: postgresS * per, highestMb }
  } finally {
    await stage.leave(place)
  }
}

/**
 * Events per second, walhook and the alternatives in turn, each beside bare undici in the same round. With one row per transaction
 * the writer alone takes as much of the machine as walhook's share of Postgres: there undici is measured beside that writer, too.
 */
export async function measureThroughput(stage: Stage, alternatives: readonly Contender[]) {
  const shapes = [
    { contender: walhook, rows: 40_000, perTransaction: 200 },
    { contender: walhook, rows: 30_000, perTransaction: 1 },
    { contender: walhookInTwo, rows: 40_000, perTransaction: 200 },
    { contender: walhookInTwo, rows: 30_000, perTransaction: 1 },
    ...alternatives.map(contender => ({ contender, rows: 6_000, perTransaction: 200 })),
  ]
  const results = shapes.map(shape => ({ ...shape, drains: [] as Drain[], ratios: [] as number[] }))
  const bares: number[] = []
  const besideWrites: number[] = []
  for (let round = 0; round < rounds; round++)
    for (const result of results) {
      const bare = await postBare(stage.receiver, 20_000)
      if (result.perTransaction === 1)
        besideWrites.push((await postBesideWrites(stage, result.rows, 1)) / bare)
      const drained = await drain(stage, result.contender, result)
      bares.push(bare)
      result.drains.push(drained)
      result.ratios.push(drained.rate / bare)
    }
  const of = (drains: readonly Drain[], pick: (drained: Drain) => number) => median(drains.map(pick))
  const rows = results.map(({ contender, perTransaction, drains, ratios }) => ({
    name: contender.name,
    perTransaction,
    rate: of(drains, d => d.rate),
    ofBare: median(ratios),
    workerS: of(drains, d => d.workerS),
    postgresS: of(drains, d => d.postgresS),
    highestMb: of(drains, d => d.highestMb),
  }))
  const text = table(
    ['', 'rows per transaction', 'events', 'of bare undici', 'CPU s per 1,000: worker', 'Postgres', 'memory'],
    [
      ['bare undici, nothing else', '', rateText(median(bares)), '1', '', '', ''],
      ['bare undici beside the writer', '1', '', median(besideWrites).toFixed(2), '', '', ''],
      ...rows.map(row => [
        row.name,
        String(row.perTransaction),
        rateText(row.rate),
        row.ofBare.toFixed(2),
        row.workerS.toFixed(3),
        row.postgresS.toFixed(3),
        `${row.highestMb.toFixed(0)} MB`,
      ]),
    ],
  )
  const foot = shapes
    .filter(({ contender }, i) => shapes.findIndex(shape => shape.contender === contender) === i)
    .map(({ contender }) => `${contender.name}: ${contender.setup}.`)
  return { rows, bare: median(bares), text: [text, '', ...foot].join('\n') }
}
