import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { timeOf } from '../../src/domain/value/time-id.ts'
import { connect } from '../support/connect.ts'
import { checkAccount, startFaultyReceiver } from '../support/faulty-receiver.ts'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { readQueue } from '../support/read-outbox.ts'
import { openTestLink } from '../support/test-link.ts'
import { startVersionsLoad, versionsTables, versionsTriggers } from '../support/versions-load.ts'
import { until } from '../support/wait.ts'
import { startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

/** WALHOOK_ACCOUNTING_KILLS (200) of walhook; or, with WALHOOK_ACCOUNTING_S (3600), as many as come in so many seconds. */
const kills = Number(process.env.WALHOOK_ACCOUNTING_KILLS || 200)
const seconds = Number(process.env.WALHOOK_ACCOUNTING_S || 0)
/** TEST_CHANGES makes the rolling restart longer. */
const changes = Number(process.env.TEST_CHANGES || 1_000)
const perSecond = 200
const leaseMs = 30_000
/** A settlement that was under way when the disturbance came may be of an answer somewhat older than it. */
const settleMs = 5_000

let server: OwnServer
beforeAll(async () => {
  server = await openOwnServer()
})
afterAll(() => server[Symbol.asyncDispose]())

/** Quick retries, so that what is refused comes again within the test; none dies. */
const env = { WALHOOK_RETRY_SCHEDULE: Array(40).fill('1s').join(',') }
const versionOf = (body: { result: { version: number } }) => body.result.version

/** Everything that was done to the processes, to Postgres and to the link between them, and when. */
type Disturbances = { fromMs: number; what: string }[]

/**
 * A place for a process: it is killed at a moment that may be any, at its start, at work, or long after, and another one takes its place at
 * once. `isOver` ends it, with a process that lives.
 */
async function killAgainAndAgain(at: {
  start: () => WalhookProcess
  isOver: () => boolean
  isServerUp: () => Promise<void>
  all: WalhookProcess[]
  disturbed: Disturbances
}): Promise<WalhookProcess> {
  for (;;) {
    await at.isServerUp()
    const one = at.start()
    at.all.push(one)
    // Some die while they start, most at work, some after others have taken over from those that died before.
    const dice = Math.random()
    const livesMs = dice < 0.7 ? Math.random() * 1_000 : Math.random() * 7_000
    if (dice > 0.2) await Promise.race([one.url().catch(() => {}), one.exited])
    for (const endsMs = performance.now() + livesMs; performance.now() < endsMs && !one.hasEnded(); )
      await sleep(10)
    if (at.isOver() && !one.hasEnded()) return one
    if (!one.hasEnded()) at.disturbed.push({ fromMs: performance.now(), what: 'walhook is killed' })
    one.kill('SIGKILL')
    await one.exited
  }
}

test(
  `${seconds || `${kills} kills`}${seconds ? ' s of kills' : ''} of 3 processes at any moment, Postgres stopped and the link cut, a fifth of all answers failing: nothing lost, nothing out of order, each repetition explained`,
  async () => {
    const database = await server.database()
    await using receiver = await startFaultyReceiver(() => {
      const dice = Math.random()
      if (dice < 0.05) return { fault: 'close' }
      if (dice < 0.08) return { fault: 'half' }
      if (dice < 0.2) return { status: 500 }
      return { delayMs: Math.random() * 20 }
    })
    await using link = await openTestLink(database.url)
    const paths = ['/crm', '/shop']
    const all: WalhookProcess[] = []
    await using _ = {
      [Symbol.asyncDispose]: async () => void (await Promise.all(all.map(one => one[Symbol.asyncDispose]()))),
    }
    {
      await using psql = await connect(database.url)
      await psql.query(versionsTables)
      const first = startWalhook(database, env)
      all.push(first)
      await first.ready()
      for (const path of paths)
        await first.api('POST', '/api/webhooks', {
          name: path,
          url: receiver.url(path),
          triggers: versionsTriggers,
        })
      first.kill('SIGTERM')
      await first.exited
    }
    const load = startVersionsLoad(() => database.url, { users: 300, perSecond: 15 })
    const disturbed: Disturbances = []
    const killed = () => disturbed.filter(({ what }) => what === 'walhook is killed').length
    const endsMs = performance.now() + seconds * 1_000
    const isOver = () => (seconds ? performance.now() >= endsMs : killed() >= kills)
    let isUp = Promise.resolve()
    const places = [0, 1, 2].map(place =>
      killAgainAndAgain({
        // The last one reaches Postgres through the link.
        start: () => startWalhook(place === 2 ? { ...database, url: link.url } : database, env),
        isServerUp: () => isUp,
        ...{ isOver, all, disturbed },
      }),
    )
    for (let next = 15; !isOver(); next += 15) {
      await until(() => isOver() || killed() >= next, { what: 'more kills', timeoutMs: 600_000 })
      if (isOver()) break
      if (next % 30 === 0) {
        disturbed.push({ fromMs: performance.now(), what: 'Postgres stops' })
        isUp = server.stop('immediate').then(() => server.start())
        await isUp
      } else {
        disturbed.push({ fromMs: performance.now(), what: 'the link is cut' })
        link.cut()
      }
    }
    const expected = await load.end(paths)
    await Promise.all(places)
    await using psql = await connect(database.url)
    await until(
      async () => {
        const { rows } = await psql.query('select count(*)::int as stored from walhook.events')
        const { deliveries, setAside } = await readQueue(psql)
        if (deliveries === 0 && rows[0].stored >= sumOf(expected) / paths.length) return true
        const stored = `${rows[0].stored} events of ${sumOf(expected) / paths.length}`
        throw new Error(
          `${stored}, ${deliveries} wait, ${setAside} as rows, ${await stuck(psql)} entities for ever`,
        )
      },
      { what: 'all events to be delivered', timeoutMs: 400_000, intervalMs: 500 },
    )

    const { breaches, repetitions } = checkAccount(receiver.account, expected, versionOf)
    expect(breaches).toEqual([])
    const { rows } = await psql.query('select count(*)::int as n from walhook.ended_deliveries')
    expect(rows).toEqual([{ n: 0 }])
    const settledAtMs = await settledAt(psql)
    const unexplained = repetitions.filter(({ entry, acceptedAtMs }) => {
      const isKnown =
        (settledAtMs.get(`${entry.path} ${entry.messageId}`) ?? Number.POSITIVE_INFINITY) < entry.arrivedAtMs
      const isDisturbed = disturbed.some(
        ({ fromMs }) => acceptedAtMs > fromMs - settleMs && entry.arrivedAtMs > fromMs,
      )
      return isKnown || !isDisturbed
    })
    expect(unexplained.map(({ entry }) => entry.messageId)).toEqual([])
    // One that loses its database at its start says so, and ends.
    for (const one of all) expect(one.stderr()).toMatch(/^(.*(connection|starting up|shutting down).*\s*)?$/i)
  },
  (seconds || kills * 10) * 1_000 + 500_000,
)

/** Entities with rows of which nobody moves one on. */
async function stuck(psql: Client): Promise<number> {
  const { rows } = await psql.query(
    `select count(*)::int as n from (
       select from walhook.deliveries group by webhook_id, entity_type, entity_id
       having not bool_or(due_at < 'infinity' or taken_by is not null or batch_id is not null)
     ) entities`,
  )
  return rows[0].n
}

/** By path and message: since when, by this process's clock, the log surely shows that it was delivered. */
async function settledAt(psql: Client): Promise<Map<string, number>> {
  const commitMs = 2_000
  const { rows } = await psql.query(
    `select w.name || ' ' || a.message_id as key, min(a.id) as id
     from walhook.attempts a join walhook.webhooks w on w.id = a.webhook_id
     where a.outcome = 'delivered' group by 1`,
  )
  return new Map(rows.map(({ key, id }) => [key, timeOf(BigInt(id)) - performance.timeOrigin + commitMs]))
}

test('a rolling restart under load repeats nothing, and no event waits for a lease', async () => {
  const database = await server.database()
  const waits: number[] = []
  await using receiver = await startFaultyReceiver(({ body }) => {
    waits.push(Date.now() - Date.parse(body.result.changed_at))
    return { delayMs: 30 + Math.random() * 100 }
  })
  {
    await using psql = await connect(database.url)
    await psql.query(versionsTables)
  }
  const processes: WalhookProcess[] = [0, 1, 2].map(() => startWalhook(database, env))
  await using _ = {
    [Symbol.asyncDispose]: async () =>
      void (await Promise.all(processes.map(one => one[Symbol.asyncDispose]()))),
  }
  await Promise.all(processes.map(one => one.ready()))
  await processes[0]!.api('POST', '/api/webhooks', {
    name: 'CRM',
    url: receiver.url('/crm'),
    triggers: versionsTriggers,
  })
  const load = startVersionsLoad(() => database.url, { users: 80, total: changes, perSecond })
  for (let i = 0; i < processes.length; i++) {
    await load.reached((changes * (i + 1)) / (processes.length + 1))
    processes[i]!.kill('SIGTERM')
    const next = startWalhook(database, env)
    expect(await processes[i]!.exited).toEqual({ code: 0, signal: null })
    expect(processes[i]!.stderr()).toBe('')
    processes[i] = next
    await next.ready()
  }
  const expected = await load.end(['/crm'])
  const answered = () => receiver.account.filter(({ answeredAtMs }) => answeredAtMs !== null).length
  await until(() => answered() >= sumOf(expected), {
    what: 'all changes to arrive and be answered',
    timeoutMs: 60_000,
  })
  const { breaches, repetitions } = checkAccount(receiver.account, expected, versionOf)
  expect(breaches).toEqual([])
  expect(repetitions.map(({ entry }) => entry.messageId)).toEqual([])
  expect(receiver.account.length).toBe(sumOf(expected))
  expect(Math.max(...waits)).toBeLessThan(leaseMs)
}, 180_000)

function sumOf(expected: ReadonlyMap<string, number>): number {
  return [...expected.values()].reduce((sum, versions) => sum + versions, 0)
}
