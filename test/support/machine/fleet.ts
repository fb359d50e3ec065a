import type pg from 'pg'
import { type AppendedEvents, createDispatcher } from '../../../src/delivery/turn/dispatcher.ts'
import { type Outbox, openOutbox } from '../../../src/outbox/database/database.ts'
import { listenForWakes } from '../../../src/outbox/log/wake.ts'
import { type Log, silentLog } from '../../../src/runtime/log.ts'
import type { Receivers } from './receivers.ts'

/** How a process is: `cut` has no link to the database for a while, `dead` was killed. */
type Condition = 'runs' | 'cut' | 'dead' | 'over'

/**
 * An outbox whose link to the database can be cut: what is asked is not heard, and neither is an answer. A process that is dead
 * hears nothing for ever; one that is over is fenced, and ends.
 */
function severable(url: string) {
  const outbox = openOutbox({ url, maxConnections: 6, onError() {}, plans: 'by index' })
  const pids = new Set<number>()
  outbox.pool.on('connect', client => pids.add((client as unknown as { processID: number }).processID))
  let condition: Condition = 'runs'
  let changed = Promise.withResolvers<void>()
  async function linked(): Promise<void> {
    while (condition !== 'runs') {
      if (condition === 'over') throw new Error('the process is over')
      await changed.promise
    }
  }
  const through = async <T>(work: () => Promise<T>): Promise<T> => {
    await linked()
    const answer = await work()
    await linked()
    return answer
  }
  const link = {
    pids,
    condition: () => condition,
    set(next: Condition) {
      condition = next
      changed.resolve()
      changed = Promise.withResolvers()
    },
  }
  const ask = (target: { query: unknown }) =>
    ((...given: unknown[]) =>
      through(() =>
        (target.query as (...given: unknown[]) => Promise<unknown>)(...given),
      )) as pg.Pool['query']
  const pool = new Proxy(outbox.pool, {
    get(target, name) {
      if (name === 'query') return ask({ query: target.query.bind(target) })
      if (name === 'connect')
        return async () => {
          await linked()
          const client = await target.connect()
          await linked().catch(error => {
            client.release(true)
            throw error
          })
          const query = ask({ query: client.query.bind(client) })
          return new Proxy(client, {
            get(inner, field) {
              if (field === 'query') return query
              const value = Reflect.get(inner, field)
              return typeof value === 'function' ? value.bind(inner) : value
            },
          })
        }
      const value = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return { outbox: { ...outbox, pool } as Outbox, real: outbox, link }
}

/** A process that delivers, with a moment for each time that it was killed or cut off. */
export type Process = {
  readonly index: number
  readonly disturbedMs: number[]
  readonly link: ReturnType<typeof severable>['link']
  appended(events: AppendedEvents): void
  wake(payload: string | null): void
  stop(): Promise<void>
  end(): Promise<void>
}

/** Several processes that deliver from one outbox, all in this one; each can be killed, cut off and stopped. */
export async function openFleet(outbox: Outbox, receivers: Receivers, deadlineMs: number) {
  const all: Process[] = []
  /** What they said. */
  const history: string[] = []
  const startedMs = performance.now()
  const living = () => all.filter(({ link }) => link.condition() === 'runs' || link.condition() === 'cut')
  const over = new AbortController()
  const listening = listenForWakes(
    outbox,
    payload => {
      for (const process of all) if (process.link.condition() === 'runs') process.wake(payload)
    },
    over.signal,
  )

  function start(): Process {
    const index = all.length
    const { outbox: own, real, link } = severable(outbox.url)
    const disturbedMs: number[] = []
    const report = (name: string, facts?: object) => {
      if (name !== 'delivery.attempted')
        history.push(
          `${Math.round(performance.now() - startedMs)} ms, process ${index}: ${name} ${JSON.stringify(facts)}`,
        )
    }
    const log: Log = {
      ...silentLog,
      info: report,
      error: report,
      warn(name, facts) {
        report(name, facts)
        // Also where nobody meant it: a machine that is too busy to show that it lives.
        if (name === 'delivery.taken_over_from') disturbedMs.push(performance.now())
      },
    }
    const sender = { process: index, deadlineMs, isDead: () => link.condition() === 'dead' }
    const dispatcher = createDispatcher({
      outbox: own,
      deliver: (...given) => receivers.deliver(sender, ...given),
      scheduleMs: Array.from({ length: 500 }, () => 80),
      maxInFlightPerWebhook: 8,
      maxInFlight: 20,
      deadlineMs,
      drainMs: 1_000,
      nowMs: Date.now,
      random: Math.random,
      log,
      onSettled() {},
    })
    const stopping = new AbortController()
    const running = dispatcher.run(stopping.signal)
    running.catch(() => {})
    const process: Process = {
      index,
      link,
      disturbedMs,
      appended: dispatcher.appended,
      wake: dispatcher.wake,
      /** In order: what is under way is settled. */
      async stop() {
        stopping.abort()
        await running
        link.set('over')
        await real[Symbol.asyncDispose]()
      },
      async end() {
        if (link.condition() === 'over') return
        stopping.abort()
        link.set('over')
        await Promise.race([running, new Promise(resolve => setTimeout(resolve, 8_000).unref())])
        // What hangs in a statement for good goes with its database.
        void real[Symbol.asyncDispose]().catch(() => {})
      },
    }
    all.push(process)
    return process
  }

  return {
    all,
    history,
    living,
    start,
    /** Kills a process: its connections end as the kernel ends them. */
    async kill(process: Process) {
      process.disturbedMs.push(performance.now())
      process.link.set('dead')
      await outbox.pool.query('select pg_terminate_backend(pid) from unnest($1::int[]) pid', [
        [...process.link.pids],
      ])
    },
    /** Its link to the database is cut for a while, in silence. */
    cut(process: Process, ms: number) {
      process.disturbedMs.push(performance.now())
      process.link.set('cut')
      setTimeout(() => {
        process.disturbedMs.push(performance.now())
        if (process.link.condition() === 'cut') process.link.set('runs')
        process.wake(null)
      }, ms)
    },
    async [Symbol.asyncDispose]() {
      over.abort()
      await Promise.all(all.map(process => process.end()))
      await listening.catch(() => {})
    },
  }
}

export type Fleet = Awaited<ReturnType<typeof openFleet>>
