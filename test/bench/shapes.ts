import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '../support/connect.ts'
import { until } from '../support/wait.ts'
import type { Place } from './contenders/contender.ts'
import { createWebhook, startWalhook, untilQueueIsEmpty, walhook } from './contenders/walhook.ts'
import { cpuSeconds, median, memoryMb, perSecond, rateText, table, watchMachine } from './figures.ts'
import { startNodeReceiver } from './receiver.ts'
import type { Stage } from './stage.ts'
import { createUsersLike, insertUsers, writeUsers } from './users.ts'

const timeoutMs = 240_000

export type Shape = { readonly shape: string; readonly figure: string; readonly highestMb: number | null }

/** Everything below, in a table. */
export async function measureShapes(stage: Stage) {
  const rows = [
    ...(await manyWebhooks(stage)),
    await oneHangs(stage),
    await backlog(stage),
    await threeProcesses(stage, { delayMs: 50, rows: 4_000 }),
    await threeProcesses(stage, { delayMs: 250, rows: 1_500 }),
    await burst(stage),
  ]
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

/** Waits for `count` more requests and returns the rate at which they came. */
async function rateOf(stage: Stage, count: number, work: () => Promise<unknown>): Promise<number> {
  const first = await stage.receiver.count()
  const startMs = performance.now()
  await work()
  await until(async () => (await stage.receiver.count()) - first >= count, {
    what: `${count} deliveries`,
    timeoutMs,
    intervalMs: 25,
  })
  return perSecond(count, performance.now() - startMs)
}

/**
 * 1, 10, 100 and 1,000 webhooks, each of which wants one entity of at most 100; so 1,000 webhooks want a hundredth of
 * the events each, and every event goes to ten of them. The same number of deliveries each time. At 1,000, also what
 * the process costs while nothing happens.
 */
async function manyWebhooks(stage: Stage): Promise<Shape[]> {
  const deliveries = 20_000
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
      const rate = await rateOf(stage, deliveries, () =>
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
  const rows = 15_000
  await using hanging = await startNodeReceiver(-1)
  const ratios: number[] = []
  let highestMb = 0
  for (let round = 0; round < 3; round++) {
    const rates: number[] = []
    for (const urls of [[stage.receiver.url], [stage.receiver.url, hanging.url]]) {
      const place = await stage.place(walhook)
      await using process = await startWalhook(place, urls)
      await using psql = await connect(place.url)
      rates.push(await rateOf(stage, rows, () => writeUsers(psql, { first: 0, rows, perTransaction: 200 })))
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

/** Puts events with a delivery each into the outbox without anybody who delivers: distinct entities. */
async function fillBacklog(place: Place, count: number): Promise<void> {
  await using psql = await connect(place.url)
  await psql.query(`
    with e as (
      insert into walhook.events (id, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body)
      select (floor(extract(epoch from now()) * 1000)::bigint << 20) + n, '0/1', n, 'user', 'b' || n, 'new', now(),
        '{"entity_id":' || n || ',"entity_type":"user","action_type":"new","result":{"note":"' || repeat('n', 500) || '"}}'
      from generate_series(1, ${count}) n
      returning id, entity_type, entity_id
    ), d as (
      insert into walhook.deliveries (webhook_id, entity_type, entity_id, event_id)
      select w.id, e.entity_type, e.entity_id, e.id from e cross join walhook.webhooks w
      returning webhook_id, entity_type, entity_id
    )
    insert into walhook.lanes (webhook_id, entity_type, entity_id) select * from d`)
  await psql.query('vacuum analyze walhook.deliveries, walhook.lanes')
}

/** What a process delivers before its rate is measured: code that is not compiled yet would be. */
const warmUp = 10_000
const backlogRows = 10_000

/**
 * The rate of the first 10,000 deliveries where another million wait, as a ratio to the rate where no more do. Before they
 * are measured, as many were delivered out of the same queue.
 */
async function backlog(stage: Stage): Promise<Shape> {
  const rates: number[] = []
  const ratios: number[] = []
  let highestMb = 0
  for (let round = 0; round < 3; round++) {
    const [few, many] = [await drainFirst(stage, backlogRows), await drainFirst(stage, 1_000_000)]
    rates.push(many.rate)
    ratios.push(many.rate / few.rate)
    highestMb = Math.max(highestMb, few.highestMb, many.highestMb)
  }
  const figure = `${rateText(median(rates))}, ${median(ratios).toFixed(2)} of the rate at 10,000`
  return { shape: 'a backlog of 1,000,000', figure, highestMb }
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

/**
 * Three processes with a slow receiver, as a ratio to one, and how busy the machine was. Where it was not busy, what bounds
 * a process is how many requests it has in flight.
 */
async function threeProcesses(stage: Stage, load: { delayMs: number; rows: number }): Promise<Shape> {
  const ratios: number[] = []
  const threes: Drained[] = []
  const ones: Drained[] = []
  for (let round = 0; round < 3; round++) {
    const one = await drainSlow(stage, { ...load, processes: 1 })
    const three = await drainSlow(stage, { ...load, processes: 3 })
    ones.push(one)
    threes.push(three)
    ratios.push(three.rate / one.rate)
  }
  const of = (drained: readonly Drained[]) =>
    `${rateText(median(drained.map(({ rate }) => rate)))}, machine ${percent(median(drained.map(({ busy }) => busy)))} busy`
  return {
    shape: `3 processes, a receiver of ${load.delayMs} ms`,
    figure: `${median(ratios).toFixed(2)} of one: ${of(threes)}; one: ${of(ones)}`,
    highestMb: Math.max(...[...ones, ...threes].map(({ highestMb }) => highestMb)),
  }
}

type Drained = { readonly rate: number; readonly busy: number; readonly highestMb: number }

/** How `processes` drain `rows` each, after half as many. */
async function drainSlow(
  stage: Stage,
  { processes, delayMs, rows }: { processes: number; delayMs: number; rows: number },
): Promise<Drained> {
  await using receiver = await startNodeReceiver(delayMs)
  const place = await stage.place(walhook)
  const running = [await startWalhook(place, [receiver.url])]
  for (let i = 1; i < processes; i++) running.push(await startWalhook(place, []))
  await using psql = await connect(place.url)
  const deliver = async (load: { first: number; rows: number }) => {
    const before = await receiver.count()
    await writeUsers(psql, { ...load, perTransaction: 200 })
    await until(async () => (await receiver.count()) - before >= load.rows, {
      what: 'deliveries',
      timeoutMs,
      intervalMs: 25,
    })
  }
  const all = rows * processes
  await deliver({ first: 0, rows: all / 2 })
  const busySince = watchMachine()
  const startMs = performance.now()
  await deliver({ first: all / 2, rows: all })
  const drained = {
    rate: perSecond(all, performance.now() - startMs),
    busy: busySince(),
    highestMb: Math.max(...running.map(({ pid }) => memoryMb(pid).highest)),
  }
  for (const process of running) await process[Symbol.asyncDispose]()
  await stage.leave(place)
  return drained
}

const percent = (share: number) => `${Math.round(share * 100)} %`

/** 200,000 rows in one transaction: how long until the last is delivered and settled. */
async function burst(stage: Stage): Promise<Shape> {
  const rows = 200_000
  const place = await stage.place(walhook)
  await using process = await startWalhook(place, [stage.receiver.url])
  await using psql = await connect(place.url)
  const startMs = performance.now()
  const rate = await rateOf(stage, rows, () => psql.query(insertUsers('1', String(rows))))
  await untilQueueIsEmpty(place.url, 60_000)
  const s = (performance.now() - startMs) / 1_000
  const highestMb = memoryMb(process.pid).highest
  await process[Symbol.asyncDispose]()
  await stage.leave(place)
  return {
    shape: '200,000 rows in one transaction',
    figure: `${s.toFixed(0)} s to drain, ${rateText(rate)}`,
    highestMb,
  }
}
