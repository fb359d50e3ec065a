import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { connect } from '../support/connect.ts'
import { until } from '../support/wait.ts'
import type { Contender } from './contenders/contender.ts'
import { msText, quantile, sharedClockMs, table } from './figures.ts'
import { startNodeReceiver } from './receiver.ts'
import type { Stage } from './stage.ts'
import { insertUser } from './users.ts'

const secondsPerRate = 8
const writers = 4
const patienceMs = 30_000

export type Latency = {
  readonly rate: number
  /** Events that had not arrived half a minute after the last commit. */
  readonly missing: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

/**
 * Inserts one row per transaction at a steady rate, each flushed, and takes the time from the moment when the commit was
 * acknowledged to the writer until the receiver had the whole request, in ms. Several writers, so that a slow flush
 * delays the next row little; each is timed by its own commit.
 */
export async function measureLatency(
  stage: Stage,
  contender: Contender,
  rates: readonly number[],
): Promise<Latency[]> {
  await using receiver = await startNodeReceiver()
  const place = await stage.place(contender, receiver.url)
  try {
    await using _worker = await contender.start(place)
    const clients = await Promise.all(Array.from({ length: writers }, () => connect(place.url)))
    const results: Latency[] = []
    let first = 0
    // The first seconds warm up code, connections and plans.
    for (const rate of [rates[0]!, ...rates]) {
      const rows = rate * secondsPerRate
      const committedAt = await writeAtRate(clients, { first, rows, rate })
      const isComplete = await until(async () => (await receiver.count()) >= first + rows, {
        what: `${contender.name} to deliver ${rows} events`,
        timeoutMs: patienceMs,
        intervalMs: 100,
      }).catch(() => false)
      const arrivals = await receiver.arrivals()
      const ms = [...committedAt].flatMap(([id, atMs]) => (arrivals.has(id) ? arrivals.get(id)! - atMs : []))
      const missing = committedAt.size - ms.length
      results.push({
        rate,
        missing,
        p50: quantile(ms, 0.5),
        p95: quantile(ms, 0.95),
        p99: quantile(ms, 0.99),
      })
      first += rows
      if (!isComplete) return results.slice(-1)
    }
    await Promise.all(clients.map(client => client.end()))
    return results.slice(1)
  } finally {
    await stage.leave(place)
  }
}

/**
 * Inserts rows, one per transaction, at a steady rate; a client that is late catches up. `onInserted` hears how long each
 * took, in ms. Returns when each was committed, by its id, in ms on the shared clock.
 */
export async function writeAtRate(
  clients: readonly Client[],
  load: { first: number; rows: number; rate: number },
  onInserted: (ms: number) => void = () => {},
): Promise<Map<number, number>> {
  const committedAt = new Map<number, number>()
  const startMs = performance.now()
  let next = 0
  await Promise.all(
    clients.map(async client => {
      while (next < load.rows) {
        const n = next++
        const dueInMs = startMs + (n / load.rate) * 1_000 - performance.now()
        if (dueInMs > 0) await sleep(dueInMs)
        const id = load.first + n + 1
        const fromMs = performance.now()
        await client.query({ name: 'insert_user', text: insertUser('$1::int'), values: [id] })
        committedAt.set(id, sharedClockMs())
        onInserted(performance.now() - fromMs)
      }
    }),
  )
  return committedAt
}

/** Each contender in turn, with the rates that it can be asked for. */
export async function compareLatency(
  stage: Stage,
  contenders: readonly (readonly [Contender, readonly number[]])[],
) {
  const rows: (Latency & { name: string })[] = []
  for (const [contender, rates] of contenders)
    for (const latency of await measureLatency(stage, contender, rates))
      rows.push({ name: contender.name, ...latency })
  const text = table(
    ['commit → receipt', 'events/s', 'p50', 'p95', 'p99', 'never arrived'],
    rows.map(({ name, rate, missing, p50, p95, p99 }) => [
      name,
      String(rate),
      ...[p50, p95, p99].map(msText),
      missing === 0 ? '' : String(missing),
    ]),
  )
  return { rows, text }
}
