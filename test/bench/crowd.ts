import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '../support/connect.ts'
import { until } from '../support/wait.ts'
import { createWebhook, startWalhook, walhook } from './contenders/walhook.ts'
import { cpuSeconds, median, memoryMb, msText, quantile, sharedClockMs } from './figures.ts'
import { writeAtRate } from './latency.ts'
import { startNodeReceiver } from './receiver.ts'
import { type Shape, timeoutMs } from './shape.ts'
import type { Stage } from './stage.ts'
import { insertUsers } from './users.ts'

/** 10,000 webhooks that want every event: how long after its commit the first of them has it, and the last. */
export async function manyWebhooks(stage: Stage, scale: number): Promise<Shape> {
  const webhooks = Math.round(10_000 * scale)
  await using receiver = await startNodeReceiver()
  const place = await stage.place(walhook, receiver.url)
  await using process = await startWalhook(place, [])
  await createMany(process.url, webhooks, place.receiverUrl)
  await using psql = await connect(place.url)
  const firstMs: number[] = []
  const lastMs: number[] = []
  for (let id = 1; id <= 6; id++) {
    const before = await receiver.count()
    await psql.query(insertUsers(String(id), String(id)))
    const committedAt = sharedClockMs()
    await until(async () => (await receiver.count()) - before >= webhooks, {
      what: `${webhooks} deliveries`,
      timeoutMs,
      intervalMs: 10,
    })
    // The first one warms up.
    if (id === 1) continue
    lastMs.push(sharedClockMs() - committedAt)
    firstMs.push((await receiver.arrivals()).get(id)! - committedAt)
  }
  await sleep(10_000)
  const before = cpuSeconds(process.pid)
  await sleep(10_000)
  const idle = (cpuSeconds(process.pid) - before) / 10
  const { highest } = memoryMb(process.pid)
  await process[Symbol.asyncDispose]()
  await stage.drop(place)
  return {
    shape: `${webhooks.toLocaleString('en')} webhooks that want every event`,
    figure: `an event is at the first after ${msText(median(firstMs))} (at most ${msText(Math.max(...firstMs))}), at the last after ${msText(median(lastMs))}; idle ${(idle * 100).toFixed(1)} % of a core`,
    highestMb: highest,
  }
}

async function createMany(walhookUrl: string, count: number, target: string): Promise<void> {
  let made = 0
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (made < count) await createWebhook(walhookUrl, { name: `bench ${made++}`, url: target })
    }),
  )
}

/** One webhook beside 600 that take every request and never answer: from commit to receipt, at 100 events a second. */
export async function manyHang(stage: Stage, scale: number): Promise<Shape> {
  const [hanging, rate, seconds] = [Math.round(600 * scale), 100, Math.max(5, Math.round(20 * scale))]
  await using receiver = await startNodeReceiver()
  await using never = await startNodeReceiver(-1)
  const place = await stage.place(walhook, receiver.url)
  await using process = await startWalhook(place, [place.receiverUrl])
  await createMany(process.url, hanging, never.url)
  const clients = await Promise.all(Array.from({ length: 4 }, () => connect(place.url)))
  // Until the first hundreds have timed out, and walhook knows them.
  await writeAtRate(clients, { first: 0, rows: rate * 20, rate })
  const first = rate * 20
  const committedAt = await writeAtRate(clients, { first, rows: rate * seconds, rate })
  await until(async () => (await receiver.count()) >= first + committedAt.size, {
    what: 'the healthy webhook to have everything',
    timeoutMs,
  })
  const arrivals = await receiver.arrivals()
  const ms = [...committedAt].map(([id, atMs]) => arrivals.get(id)! - atMs)
  await Promise.all(clients.map(client => client.end()))
  const { highest } = memoryMb(process.pid)
  await process[Symbol.asyncDispose]()
  await stage.drop(place)
  return {
    shape: `${hanging} webhooks hang`,
    figure: `another one: p50 ${msText(quantile(ms, 0.5))}, p99 ${msText(quantile(ms, 0.99))} from commit to receipt, at ${rate} events/s`,
    highestMb: highest,
  }
}
