import { createPost } from './contenders/post.ts'
import { openQueue, type Queue } from './delivery-queue.ts'
import { cpuSeconds, median, msText, perSecond, quantile, rateText, table } from './figures.ts'
import { measureIdle } from './idle.ts'
import { startNodeReceiver } from './receiver.ts'
import { openStage, type Stage, serverSettings } from './stage.ts'
import { exampleBody } from './users.ts'

/**
 * `npm run bench:delivery [rate|latency|idle …]`: what delivery alone does, its log filled beforehand by SQL, in this one
 * process. Everything on loopback, with a Postgres and a receiver of its own. BENCH_DELIVERIES (20,000) is what `rate` sends
 * in each of its rounds, BENCH_SECONDS (20) how long a turn of `latency` takes.
 */
const deliveries = Number(process.env.BENCH_DELIVERIES || 20_000)
const rounds = 5
const inFlight = 100
const say = (line: string) => process.stdout.write(`${line}\n`)
const bodySql = `replace('${exampleBody(1_000_001).replaceAll("'", "''")}', '1000001', n::text)`

const sections: Record<string, (stage: Stage) => Promise<string>> = {
  rate,
  latency,
  idle: measureIdle,
}
const wanted = process.argv.slice(2)
{
  await using stage = await openStage()
  say(
    `${stage.description}\n${Object.entries(serverSettings)
      .map(pair => pair.join(' = '))
      .join(', ')}`,
  )
  for (const name of wanted.length > 0 ? wanted : Object.keys(sections))
    say(`\n### ${name}\n\n${await sections[name]!(stage)}`)
}

async function openAt(stage: Stage): Promise<Queue> {
  return await openQueue((await stage.place({ async prepare() {} })).url)
}

/** The whole queue against bare undici that posts the same signed bodies to the same receiver, in turns. */
async function rate(stage: Stage): Promise<string> {
  await using queue = await openAt(stage)
  await queue.webhook(stage.receiver.url)
  const { rows } = await queue.outbox.pool.query(`select ${bodySql} as body from generate_series(0, 999) n`)
  const bodies: string[] = rows.map(row => row.body)
  const results: Measured[][] = []
  // The first round warms up, and is not counted.
  for (let round = 0; round <= rounds; round++) {
    const bare = await measured(stage, () => postBare(stage.receiver.url, bodies, deliveries))
    await queue.events(deliveries, bodySql)
    await queue.analyze()
    const whole = await measured(stage, () => drain(queue))
    if (round > 0) results.push([bare, whole])
  }
  const of = (pick: (round: Measured[]) => number) => median(results.map(pick))
  const cpuUs = (s: number) => `${((s / deliveries) * 1e6).toFixed(0)} µs`
  const line = (name: string, i: number) => [
    name,
    rateText(of(round => perSecond(deliveries, round[i]!.ms))),
    cpuUs(of(round => round[i]!.ownS)),
    cpuUs(of(round => round[i]!.postgresS)),
  ]
  const ratio = of(([bare, whole]) => bare!.ms / whole!.ms)
  return `${table(['', 'rate', 'CPU of Node.js each', 'CPU of Postgres each'], [line('bare undici', 0), line('the whole queue', 1)])}

Ratio ${ratio.toFixed(2)} (median of ${rounds} rounds of ${deliveries.toLocaleString('en')}; ${results.map(([bare, whole]) => (bare!.ms / whole!.ms).toFixed(2)).join(', ')}).`
}

type Measured = { readonly ms: number; readonly ownS: number; readonly postgresS: number }

async function measured(stage: Stage, work: () => Promise<void>): Promise<Measured> {
  const [startMs, cpu, postgres] = [performance.now(), process.cpuUsage(), cpuSeconds(stage.serverPid)]
  await work()
  const { user, system } = process.cpuUsage(cpu)
  return {
    ms: performance.now() - startMs,
    ownS: (user + system) / 1e6,
    postgresS: cpuSeconds(stage.serverPid) - postgres,
  }
}

async function postBare(url: string, bodies: readonly string[], requests: number): Promise<void> {
  const post = createPost(url, inFlight)
  let sent = 0
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (sent < requests) await post(bodies[sent++ % bodies.length]!)
    }),
  )
}

async function drain(queue: Queue): Promise<void> {
  const over = Promise.withResolvers<void>()
  let left = deliveries
  const delivery = queue.deliver(({ next }) => {
    if (next.state === 'done' && --left === 0) over.resolve()
  })
  await over.promise
  await delivery.stop()
}

/** From the commit of an event to that of its settlement, with a receiver of 50 ms: alone, and beside one that hangs. */
async function latency(stage: Stage): Promise<string> {
  const [perSecondWanted, phaseMs] = [200, Number(process.env.BENCH_SECONDS || 20) * 1_000]
  await using healthyReceiver = await startNodeReceiver(50)
  await using hangingReceiver = await startNodeReceiver(-1)
  const figures = { alone: [] as number[][], beside: [] as number[][] }
  for (let round = 0; round < 3; round++)
    for (const which of ['alone', 'beside'] as const) {
      await using queue = await openAt(stage)
      const healthy = await queue.webhook(healthyReceiver.url)
      if (which === 'beside') await queue.webhook(hangingReceiver.url)
      const took: number[] = []
      const committedAtMs = new Map<string, number>()
      const delivery = queue.deliver(({ shipment: { webhookId, deliveries } }) => {
        if (webhookId === healthy) took.push(performance.now() - committedAtMs.get(deliveries[0].entityId)!)
      })
      for (let sent = 0; sent < (perSecondWanted * phaseMs) / 1_000; sent += 4) {
        await queue.events(4, bodySql, sent)
        for (let n = sent; n < sent + 4; n++) committedAtMs.set(String(n), performance.now())
        delivery.wake()
        await new Promise(resolve => setTimeout(resolve, 4_000 / perSecondWanted))
      }
      await new Promise(resolve => setTimeout(resolve, 1_000))
      await delivery.stop()
      figures[which].push(took)
    }
  const row = (name: string, q: number) => {
    const of = (runs: number[][]) => median(runs.map(took => quantile(took, q)))
    return [
      name,
      msText(of(figures.alone)),
      msText(of(figures.beside)),
      (of(figures.beside) / of(figures.alone)).toFixed(2),
    ]
  }
  return `A receiver of 50 ms that gets ${perSecondWanted} a second, from commit to settled; medians of 3 turns of ${phaseMs / 1000} s.

${table(['', 'alone', 'beside one that hangs', 'ratio'], [row('p50', 0.5), row('p99', 0.99)])}`
}
