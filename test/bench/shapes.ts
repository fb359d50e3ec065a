import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '../support/connect.ts'
import { until } from '../support/wait.ts'
import type { Place } from './contenders/contender.ts'
import { createWebhook, startWalhook, untilQueueIsEmpty, walhook } from './contenders/walhook.ts'
import { cpuSeconds, median, memoryMb, perSecond, rateText, table } from './figures.ts'
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
    await threeProcesses(stage),
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

/** The share of a core that a process uses while nothing happens, over ten seconds. */
async function idleShare(pid: number): Promise<number> {
  await sleep(2_000)
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

/** The rate of the first deliveries out of a million that wait, as a ratio to the rate out of ten thousand. */
async function backlog(stage: Stage): Promise<Shape> {
  const rates: number[] = []
  let highestMb = 0
  for (const waiting of [10_000, 1_000_000]) {
    const place = await stage.place(walhook)
    {
      await using _ = await startWalhook(place, [stage.receiver.url], { WALHOOK_ROLES: 'api' })
    }
    await fillBacklog(place, waiting)
    const first = await stage.receiver.count()
    await using process = await startWalhook(place, [], { WALHOOK_ROLES: 'delivery,api' })
    const sent = async () => (await stage.receiver.count()) - first
    // From the first thousand on, so that the start does not count.
    await until(async () => (await sent()) >= 1_000, {
      what: 'the first deliveries',
      timeoutMs,
      intervalMs: 5,
    })
    const from = await sent()
    const startMs = performance.now()
    await until(async () => (await sent()) >= 9_900, { what: 'the backlog', timeoutMs, intervalMs: 5 })
    rates.push(perSecond((await sent()) - from, performance.now() - startMs))
    highestMb = Math.max(highestMb, memoryMb(process.pid).highest)
    await process[Symbol.asyncDispose]()
    await stage.leave(place)
  }
  const figure = `${rateText(rates[1]!)}, ${(rates[1]! / rates[0]!).toFixed(2)} of the rate at 10,000`
  return { shape: 'a backlog of 1,000,000', figure, highestMb }
}

/** Three processes with a receiver that takes 50 ms, as a ratio to one. */
async function threeProcesses(stage: Stage): Promise<Shape> {
  const rates: number[] = []
  let highestMb = 0
  for (const processes of [1, 3]) {
    await using receiver = await startNodeReceiver(50)
    const rows = processes * 10_000
    const place = await stage.place(walhook)
    const running = [await startWalhook(place, [receiver.url])]
    for (let i = 1; i < processes; i++) running.push(await startWalhook(place, []))
    await using psql = await connect(place.url)
    const startMs = performance.now()
    await writeUsers(psql, { first: 0, rows, perTransaction: 200 })
    await until(async () => (await receiver.count()) >= rows, {
      what: 'deliveries',
      timeoutMs,
      intervalMs: 25,
    })
    rates.push(perSecond(rows, performance.now() - startMs))
    highestMb = Math.max(highestMb, ...running.map(({ pid }) => memoryMb(pid).highest))
    for (const process of running) await process[Symbol.asyncDispose]()
    await stage.leave(place)
  }
  const figure = `${rateText(rates[1]!)}, ${(rates[1]! / rates[0]!).toFixed(2)} of one (${rateText(rates[0]!)})`
  return { shape: '3 processes, a receiver of 50 ms', figure, highestMb }
}

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
