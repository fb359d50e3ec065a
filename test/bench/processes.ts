import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '../support/connect.ts'
import { until } from '../support/wait.ts'
import { startWalhook, walhook } from './contenders/walhook.ts'
import { median, memoryMb, msText, perSecond, rateText, watchMachine } from './figures.ts'
import { writeAtRate } from './latency.ts'
import { startNodeReceiver } from './receiver.ts'
import { type Shape, timeoutMs } from './shape.ts'
import type { Stage } from './stage.ts'
import { writeUsers } from './users.ts'

/**
 * Two and four processes with a slow receiver, as a ratio to one in the same round, and how busy the machine was. Where it was not
 * busy, what bounds a process is how many requests it has in flight.
 */
export async function severalProcesses(
  stage: Stage,
  load: { delayMs: number; rows: number },
): Promise<Shape> {
  const rounds: Drained[][] = []
  for (let round = 0; round < 3; round++) {
    const drained: Drained[] = []
    for (const processes of counts) drained.push(await drainSlow(stage, { ...load, processes }))
    rounds.push(drained)
  }
  const figures = counts.map((processes, at) => {
    const of = (figure: (each: Drained, one: Drained) => number) =>
      median(rounds.map(drained => figure(drained[at]!, drained[0]!)))
    const ratio = processes === 1 ? '' : `${of((each, one) => each.rate / one.rate).toFixed(2)} of one, `
    return `${processes}: ${ratio}${rateText(of(each => each.rate))}, machine ${percent(of(each => each.busy))} busy`
  })
  return {
    shape: `1, 2 and 4 processes, a receiver of ${load.delayMs} ms`,
    figure: figures.join('; '),
    highestMb: Math.max(...rounds.flat().map(({ highestMb }) => highestMb)),
  }
}

const counts = [1, 2, 4]

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

/** As far ahead of what it has read a process may send: what is committed so soon after its death counts as under way. */
const reachMs = 600

/**
 * Three processes that deliver, one of which is killed under load: how late the events are that are committed afterwards, and
 * those that it may have been sending, which wait until nothing of it can be under way.
 */
export async function oneIsKilled(stage: Stage): Promise<Shape> {
  const [rate, seconds, killAfterS] = [100, 20, 6]
  await using receiver = await startNodeReceiver(20)
  const place = await stage.place(walhook, receiver.url)
  await using capturing = await startWalhook(place, [place.receiverUrl], { WALHOOK_ROLES: 'capture,api' })
  const delivering: Awaited<ReturnType<typeof startWalhook>>[] = []
  for (let i = 0; i < 3; i++)
    delivering.push(await startWalhook(place, [], { WALHOOK_ROLES: 'delivery,api' }))
  // Until each has its shares.
  await sleep(5_000)
  const clients = await Promise.all(Array.from({ length: 4 }, () => connect(place.url)))
  let killedAtMs = Number.NaN
  const [committedAt] = await Promise.all([
    writeAtRate(clients, { first: 0, rows: rate * seconds, rate }),
    sleep(killAfterS * 1_000).then(async () => {
      killedAtMs = Number(process.hrtime.bigint()) / 1e6
      await delivering[1]![Symbol.asyncDispose]()
    }),
  ])
  await until(async () => (await receiver.arrivals()).size >= committedAt.size, {
    what: 'every event',
    timeoutMs,
    intervalMs: 100,
  })
  const arrivals = await receiver.arrivals()
  const lateness = (isMeant: (atMs: number) => boolean) =>
    [...committedAt].filter(([, atMs]) => isMeant(atMs)).map(([id, atMs]) => arrivals.get(id)! - atMs)
  const after = Math.max(...lateness(atMs => atMs > killedAtMs + reachMs))
  const around = lateness(atMs => atMs <= killedAtMs + reachMs)
  await Promise.all(clients.map(client => client.end()))
  for (const process of [...delivering, capturing]) await process[Symbol.asyncDispose]()
  await stage.leave(place)
  return {
    shape: 'one of 3 processes is killed',
    figure: `what is committed after ${reachMs} ms is at most ${msText(after)} late; of what was before ${around.filter(ms => ms > after).length} events more than that, at most ${msText(Math.max(...around))}`,
    highestMb: null,
  }
}
