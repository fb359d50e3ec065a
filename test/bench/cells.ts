import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { connect } from '../support/connect.ts'
import { hangServer } from '../support/hanging-server.ts'
import { startOwnServer } from '../support/own-server.ts'
import { until } from '../support/wait.ts'
import type { Place } from './contenders/contender.ts'
import { adminToken, createWebhook, settingsOf, startWalhook, walhook } from './contenders/walhook.ts'
import { cpuSeconds, median, memoryMb, msText, quantile, rateText, watchMachine } from './figures.ts'
import { writeAtRate } from './latency.ts'
import { program } from './published.ts'
import { type RecordingReceiver, startNodeReceiver } from './receiver.ts'
import { rateOf, type Shape, timeoutMs } from './shape.ts'
import { type Stage, serverSettings } from './stage.ts'
import { writeUsers } from './users.ts'

/** Adds a cell, in another schema of the place's database or in the database of `url`, and waits until a process runs it. */
async function addCell(place: Place, walhookUrl: string, name: string, url?: string): Promise<void> {
  const where = url === undefined ? [] : ['--database', url]
  await promisify(execFile)(process.execPath, [program, 'cell', 'add', name, ...where], {
    cwd: '/',
    env: settingsOf(place),
  })
  const isWorking = async () => {
    const answer = await (await fetch(`${walhookUrl}/readyz`)).json()
    const { checks } = answer as { checks: Record<string, { status: string }> }
    return checks[`cell:${name}`]?.status === 'working'
  }
  await until(isWorking, { what: `the cell ${name}`, timeoutMs: 30_000, intervalMs: 250 })
}

const counts = [1, 2, 4]
const webhooks = 20

type Rated = {
  readonly rate: number
  readonly busy: number
  readonly postgresMs: number
  readonly mb: number
}

/**
 * One process with the webhooks divided among 1, 2 and 4 cells, each event wanted by all of them. With a slow receiver the bound is how
 * many requests a process has in flight for a cell, 5 × WALHOOK_MAX_IN_FLIGHT; with a fast one, the machine.
 */
export async function severalCells(
  stage: Stage,
  load: { delayMs: number; events: number; rounds: number },
): Promise<Shape> {
  const rounds: Rated[][] = []
  for (let round = 0; round < load.rounds; round++) {
    const rated: Rated[] = []
    for (const cells of counts) rated.push(await rateOfCells(stage, { ...load, cells }))
    rounds.push(rated)
  }
  const figures = counts.map((cells, at) => {
    const of = (figure: (each: Rated, one: Rated) => number) =>
      median(rounds.map(rated => figure(rated[at]!, rated[0]!)))
    const ratio = cells === 1 ? '' : `${of((each, one) => each.rate / one.rate).toFixed(2)} of one, `
    const busy = Math.round(of(each => each.busy) * 100)
    return `${cells}: ${ratio}${rateText(of(each => each.rate))}, Postgres ${of(each => each.postgresMs).toFixed(3)} ms per request, machine ${busy} % busy`
  })
  return {
    shape: `1, 2 and 4 cells, ${webhooks} webhooks, a receiver of ${load.delayMs} ms`,
    figure: figures.join('; '),
    highestMb: Math.max(...rounds.flat().map(({ mb }) => mb)),
  }
}

async function rateOfCells(
  stage: Stage,
  { cells, delayMs, events }: { cells: number; delayMs: number; events: number },
): Promise<Rated> {
  await using receiver = delayMs === 0 ? null : await startNodeReceiver(delayMs)
  const { url, count } = receiver ?? stage.receiver
  const place = await stage.place(walhook, url)
  // 125 requests for a cell: far from what the machine can do.
  await using process = await startWalhook(place, [], delayMs === 0 ? {} : { WALHOOK_MAX_IN_FLIGHT: '25' })
  for (let i = 1; i < cells; i++) await addCell(place, process.url, `cell${i}`)
  for (let i = 0; i < webhooks; i++) await createWebhook(process.url, { name: `bench ${i}`, url })
  await using psql = await connect(place.url)
  const deliver = (first: number, rows: number) =>
    rateOf({ count }, rows * webhooks, () => writeUsers(psql, { first, rows, perTransaction: 200 }))
  await deliver(0, Math.ceil(events / 2))
  const busySince = watchMachine()
  const before = cpuSeconds(stage.serverPid)
  const rate = await deliver(Math.ceil(events / 2), events)
  const rated = {
    rate,
    busy: busySince(),
    postgresMs: (1_000 * (cpuSeconds(stage.serverPid) - before)) / (events * webhooks),
    mb: memoryMb(process.pid).highest,
  }
  await process[Symbol.asyncDispose]()
  await stage.leave(place)
  return rated
}

const rate = 200
const manners = ['answers', 'has nothing to send', 'hangs', 'is down'] as const
type Manner = (typeof manners)[number]

/**
 * A webhook in main and one in each of two cells, one of which is in a server of its own. The p99 from a commit to the receiver, of the
 * others, while that server answers, has nothing to send (its webhook is inactive), hangs (no answer and no error) and is down, in turns.
 * The ratios in a round are to a cell with nothing to send: one that is away has no deliveries that would slow down the others, either.
 */
export async function oneCellIsAway(
  stage: Stage,
  { seconds, rounds }: { seconds: number; rounds: number },
): Promise<Shape[]> {
  const folder = await mkdtemp(join(tmpdir(), 'walhook-bench-cell-'))
  let server = await startOwnServer(folder, serverSettings)
  await using inMain = await startNodeReceiver()
  await using inNear = await startNodeReceiver()
  await using inFar = await startNodeReceiver()
  const place = await stage.place(walhook, inMain.url)
  await using process = await startWalhook(place, [])
  await addCell(place, process.url, 'near')
  await addCell(place, process.url, 'far', server.url)
  const ids: number[] = []
  for (const { url } of [inMain, inNear, inFar])
    ids.push(await createWebhook(process.url, { name: 'bench', url }))
  const clients = await Promise.all(Array.from({ length: 4 }, () => connect(place.url)))
  let first = 0
  let unsent = 0
  const all = async (receivers: readonly RecordingReceiver[], count: number) =>
    await until(
      async () => (await Promise.all(receivers.map(each => each.count()))).every(each => each >= count),
      { what: `${count} events everywhere`, timeoutMs, intervalMs: 100 },
    )
  async function latencies(manner: Manner) {
    const hanging = manner === 'hangs' ? hangServer(server.pid) : null
    if (manner === 'is down') await server.stop('immediate')
    const hasNothing = manner === 'has nothing to send'
    if (hasNothing) await setActive(process.url, ids.at(-1)!, false)
    const load = { first, rows: rate * seconds, rate }
    first += load.rows
    if (hasNothing) unsent += load.rows
    const work = async () => {
      const committedAt = await writeAtRate(clients, load)
      await all([inMain, inNear], first)
      return committedAt
    }
    const committedAt = await work().finally(() => hanging?.goOn())
    if (manner === 'is down') server = await startOwnServer(folder, serverSettings)
    if (hasNothing) await setActive(process.url, ids.at(-1)!, true)
    await all([inFar], first - unsent)
    const arrivals = await Promise.all([inMain, inNear].map(each => each.arrivals()))
    return arrivals.map(each => [...committedAt].map(([id, atMs]) => each.get(id)! - atMs))
  }
  try {
    await latencies('answers')
    const found: Record<Manner, number[][]>[] = []
    for (let round = 0; round < rounds; round++) {
      const of = {} as Record<Manner, number[][]>
      for (const manner of manners) of[manner] = await latencies(manner)
      found.push(of)
    }
    return ['main', 'another cell'].map((name, at) => {
      const figures = manners.map(manner => {
        const p99s = found.map(of => quantile(of[manner][at]!, 0.99))
        const ratios = found.map((of, i) => p99s[i]! / quantile(of['has nothing to send'][at]!, 0.99))
        const ratio = `, ${median(ratios).toFixed(2)} of one with nothing to send`
        return `${manner}: p50 ${msText(median(found.map(of => quantile(of[manner][at]!, 0.5))))}, p99 ${msText(median(p99s))}${ratio}`
      })
      return {
        shape: `a webhook in ${name} while a cell …`,
        figure: figures.join('; '),
        highestMb: memoryMb(process.pid).highest,
      }
    })
  } finally {
    for (const client of clients) await client.end()
    await process[Symbol.asyncDispose]()
    await server.stop('immediate').catch(() => {})
    await rm(folder, { recursive: true, force: true })
    await stage.leave(place)
  }
}

async function setActive(walhookUrl: string, id: number, isActive: boolean): Promise<void> {
  const answer = await fetch(`${walhookUrl}/api/webhooks/${id}`, {
    method: 'PATCH',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ is_active: isActive }),
  })
  if (!answer.ok) throw new Error(`the webhook ${id} was not changed: ${await answer.text()}`)
}
