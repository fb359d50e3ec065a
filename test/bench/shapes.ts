import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '../support/connect.ts'
import { until } from '../support/wait.ts'
import { oneCellIsAway, severalCells } from './cells.ts'
import type { Place } from './contenders/contender.ts'
import { createWebhook, startWalhook, untilQueueIsEmpty, walhook } from './contenders/walhook.ts'
import { manyHang, manyWebhooks } from './crowd.ts'
import { fanOut, oneIsDead } from './fan-out.ts'
import { cpuSeconds, median, memoryMb, perSecond, rateText, table } from './figures.ts'
import { oneIsKilled, severalProcesses } from './processes.ts'
import { startNodeReceiver } from './receiver.ts'
import { rateOf, type Shape, timeoutMs } from './shape.ts'
import type { Stage } from './stage.ts'
import { createUsersLike, insertUsers, writeUsers } from './users.ts'
import { walPerEvent } from './wal.ts'

/** How much of each shape is measured: 1, or less for a look at whether it runs. */
const scale = Number(process.env.BENCH_SCALE || 1)

const shapes: Record<string, (stage: Stage) => Promise<Shape[]>> = {
  'fan-out': stage => fanOut(stage, scale),
  wal: async stage => [await walPerEvent(stage, scale)],
  dead: async stage => [await oneIsDead(stage, scale)],
  shared: sharedOut,
  crowd: async stage => [await manyWebhooks(stage, scale)],
  hang: async stage => [await oneHangs(stage), await manyHang(stage, scale)],
  backlog: async stage => [await backlog(stage)],
  processes: async stage => [
    await severalProcesses(stage, { delayMs: 50, rows: Math.round(4_000 * scale) }),
    await severalProcesses(stage, { delayMs: 250, rows: Math.round(1_500 * scale) }),
    await oneIsKilled(stage),
  ],
  cells: async stage => [
    await severalCells(stage, { delayMs: 250, events: Math.round(400 * scale), rounds: 3 }),
    await severalCells(stage, { delayMs: 0, events: Math.round(2_000 * scale), rounds: 3 }),
  ],
  away: stage => oneCellIsAway(stage, { seconds: Math.max(3, 20 * scale), rounds: 3 }),
  burst: async stage => [await burst(stage)],
}

/**
 * Everything below, in a table. BENCH_SHAPES names some of them, as `fan-out dead`; BENCH_SCALE (1) is how much of each is
 * measured: 0.02 only shows that it runs.
 */
export async function measureShapes(stage: Stage) {
  const wanted = process.env.BENCH_SHAPES?.split(' ') ?? Object.keys(shapes)
  const unknown = wanted.filter(name => !Object.hasOwn(shapes, name))
  if (unknown.length > 0)
    throw new Error(`BENCH_SHAPES names ${unknown.join(', ')}; there are ${Object.keys(shapes).join(', ')}`)
  const rows: Shape[] = []
  for (const name of wanted) rows.push(...(await shapes[name]!(stage)))
  const text = table(
    ['shape', 'measured', "walhook's memory"],
    rows.map(({ shape, figure, highestMb }) => [
      shape,
      figure,
      highestMb === null ? '' : `${highestMb.toFixed(0)} MB`,
    ]),
  )
  return { rows, text }
}

/**
 * 1, 10, 100 and 1,000 webhooks, each of which wants one entity of at most 100; so 1,000 webhooks want a hundredth of
 * the events each, and every event goes to ten of them. The same number of deliveries each time. At 1,000, also what
 * the process costs while nothing happens.
 */
async function sharedOut(stage: Stage): Promise<Shape[]> {
  const deliveries = Math.ceil((20_000 * scale) / 1_000) * 1_000
  const folder = await mkdtemp(join(tmpdir(), 'walhook-bench-'))
  const shapes: Shape[] = []
  let single = 0
  try {
    for (const webhooks of [1, 10, 100, 1_000]) {
      const entities = Math.min(webhooks, 100)
      const names = Array.from({ length: entities }, (_, i) => `kind_${i}`)
      const config = join(folder, `${webhooks}.yaml`)
      await writeFile(
        config,
        JSON.stringify({ entities: Object.fromEntries(names.map(name => [name, { table: name }])) }),
      )
      const place = await stage.place({
        async prepare(place) {
          await using psql = await connect(place.url)
          for (const name of names) await psql.query(createUsersLike(name))
        },
      })
      await using process = await startWalhook(place, [], { WALHOOK_CONFIG: config })
      for (let i = 0; i < webhooks; i++)
        await createWebhook(process.url, {
          name: `bench ${i}`,
          url: place.receiverUrl,
          triggers: [`${names[i % entities]}.new`],
        })
      await using psql = await connect(place.url)
      const perTable = deliveries / webhooks
      // Transactions of 200 rows, whatever the number of tables.
      const step = 200 / entities
      const rate = await rateOf(stage.receiver, deliveries, () =>
        psql.query(`do $$ begin
          for i in 0..${Math.ceil(perTable / step) - 1} loop
            ${names.map(name => insertUsers(`i * ${step} + 1`, `least((i + 1) * ${step}, ${perTable})`, name)).join('; ')};
            commit;
          end loop; end $$`),
      )
      if (webhooks === 1) single = rate
      const figure = `${rateText(rate)}, ${(rate / single).toFixed(2)} of one webhook`
      const idle =
        webhooks === 1_000 ? `; idle ${((await idleShare(process.pid)) * 100).toFixed(1)} % of a core` : ''
      shapes.push({
        shape: `${webhooks} webhooks`,
        figure: figure + idle,
        highestMb: memoryMb(process.pid).highest,
      })
      await process[Symbol.asyncDispose]()
      await stage.leave(place)
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return shapes
}

/** The share of a core that a process uses while nothing happens, over ten seconds, once V8 has cleared up after the load. */
async function idleShare(pid: number): Promise<number> {
  await sleep(15_000)
  const before = cpuSeconds(pid)
  await sleep(10_000)
  return (cpuSeconds(pid) - before) / 10
}

/** A webhook's rate beside one that takes every request and never answers, as a ratio to its rate alone. */
async function oneHangs(stage: Stage): Promise<Shape> {
  const rows = Math.round(15_000 * scale)
  await using hanging = await startNodeReceiver(-1)
  const ratios: number[] = []
  let highestMb = 0
  for (let round = 0; round < 3; round++) {
    const rates: number[] = []
    for (const urls of [[stage.receiver.url], [stage.receiver.url, hanging.url]]) {
      const place = await stage.place(walhook)
      await using process = await startWalhook(place, urls)
      await using psql = await connect(place.url)
      rates.push(
        await rateOf(stage.receiver, rows, () => writeUsers(psql, { first: 0, rows, perTransaction: 200 })),
      )
      highestMb = Math.max(highestMb, memoryMb(process.pid).highest)
      await process[Symbol.asyncDispose]()
      await stage.leave(place)
    }
    ratios.push(rates[1]! / rates[0]!)
  }
  return {
    shape: 'one webhook hangs',
    figure: `the other: ${median(ratios).toFixed(2)} of its rate alone`,
    highestMb,
  }
}

/** Puts events that the webhook wants into the log, without anybody who delivers: of distinct entities. */
async function fillBacklog(place: Place, count: number): Promise<void> {
  await using psql = await connect(place.url)
  await psql.query(`
    insert into walhook.events (id, share, webhooks_version, commit_lsn, index_in_transaction, entity_type, entity_id, action_type,
                                committed_at, body)
    select (floor(extract(epoch from now()) * 1000)::bigint << 20) + n, walhook.share_of('user', 'b' || n),
      (select version from walhook.webhooks_version), '0/1', n, 'user', 'b' || n, 'new', now(),
      '{"entity_id":' || n || ',"entity_type":"user","action_type":"new","result":{"note":"' || repeat('n', 500) || '"}}'
    from generate_series(1, ${count}) n`)
  // Without capture there may be no position yet, and its last event is the end of the log.
  await psql.query(`
    insert into walhook.positions (slot_name, system_identifier, commit_lsn, last_event_id)
    select 'bench', '1', '0/1', max(id) from walhook.events
    on conflict ((true)) do update set last_event_id = excluded.last_event_id`)
  await psql.query('vacuum analyze walhook.events')
}

/** What a process delivers before its rate is measured: code that is not compiled yet would be. */
const warmUp = 10_000
const backlogRows = 10_000
const backlogWaiting = Math.max(backlogRows, Math.round(1_000_000 * scale))

/**
 * The rate of the first 10,000 deliveries where another million wait, as a ratio to the rate where no more do. Before they
 * are measured, as many were delivered out of the same queue.
 */
async function backlog(stage: Stage): Promise<Shape> {
  const rates: number[] = []
  const ratios: number[] = []
  let highestMb = 0
  for (let round = 0; round < 3; round++) {
    const [few, many] = [await drainFirst(stage, backlogRows), await drainFirst(stage, backlogWaiting)]
    rates.push(many.rate)
    ratios.push(many.rate / few.rate)
    highestMb = Math.max(highestMb, few.highestMb, many.highestMb)
  }
  const figure = `${rateText(median(rates))}, ${median(ratios).toFixed(2)} of the rate at 10,000`
  return { shape: `a backlog of ${backlogWaiting.toLocaleString('en')}`, figure, highestMb }
}

/** The rate of the first deliveries out of `waiting`. The end of a queue is not measured, where less is in flight. */
async function drainFirst(stage: Stage, waiting: number): Promise<{ rate: number; highestMb: number }> {
  const place = await stage.place(walhook)
  {
    await using _ = await startWalhook(place, [stage.receiver.url], { WALHOOK_ROLES: 'api' })
  }
  await fillBacklog(place, warmUp + waiting)
  const first = await stage.receiver.count()
  await using process = await startWalhook(place, [], { WALHOOK_ROLES: 'delivery,api' })
  const sent = async () => (await stage.receiver.count()) - first
  const reach = async (count: number) => {
    await until(async () => (await sent()) >= count, {
      what: `${count} deliveries`,
      timeoutMs,
      intervalMs: 5,
    })
    return { sent: await sent(), atMs: performance.now() }
  }
  const from = await reach(warmUp)
  const to = await reach(warmUp + backlogRows - 200)
  const { highest } = memoryMb(process.pid)
  await process[Symbol.asyncDispose]()
  await stage.drop(place)
  return { rate: perSecond(to.sent - from.sent, to.atMs - from.atMs), highestMb: highest }
}

/** 200,000 rows in one transaction: how long until the last is delivered and settled. */
async function burst(stage: Stage): Promise<Shape> {
  const rows = Math.round(200_000 * scale)
  const place = await stage.place(walhook)
  await using process = await startWalhook(place, [stage.receiver.url])
  await using psql = await connect(place.url)
  const startMs = performance.now()
  const rate = await rateOf(stage.receiver, rows, () => psql.query(insertUsers('1', String(rows))))
  await untilQueueIsEmpty(place.url, 60_000)
  const s = (performance.now() - startMs) / 1_000
  const highestMb = memoryMb(process.pid).highest
  await process[Symbol.asyncDispose]()
  await stage.leave(place)
  return {
    shape: `${rows.toLocaleString('en')} rows in one transaction`,
    figure: `${s.toFixed(0)} s to drain, ${rateText(rate)}`,
    highestMb,
  }
}
