import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { judgeAccount, startFaultyReceiver } from '../support/faulty-receiver.ts'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { readQueue } from '../support/read-outbox.ts'
import { openTestLink } from '../support/test-link.ts'
import { startVersionsLoad, versionsTables, versionsTriggers } from '../support/versions-load.ts'
import { until } from '../support/wait.ts'
import { startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

/** TEST_CHANGES makes these tests longer: the load and the disturbances grow with it. */
const changes = Number(process.env.TEST_CHANGES || 1_000)
const disturbances = Math.max(6, Math.round(changes / 250))
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

test(`${changes} changes, ${disturbances} kills of walhook, Postgres and the link, 4 processes, a fifth of all answers failing: nothing lost, nothing out of order, each repetition explained`, async () => {
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
  {
    await using psql = await connect(database.url)
    await psql.query(versionsTables)
  }
  /** The last of the four reaches Postgres through the link. */
  const start = (i: number) => startWalhook(i === 3 ? { ...database, url: link.url } : database, env)
  const processes: WalhookProcess[] = [0, 1, 2, 3].map(start)
  await using _ = {
    [Symbol.asyncDispose]: async () =>
      void (await Promise.all(processes.map(one => one[Symbol.asyncDispose]()))),
  }
  await Promise.all(processes.map(one => one.ready()))
  for (const path of paths)
    await processes[0]!.api('POST', '/api/webhooks', {
      name: path,
      url: receiver.url(path),
      triggers: versionsTriggers,
    })

  const load = startVersionsLoad(() => database.url, { users: 80, total: changes, perSecond })
  const disturbed: { fromMs: number; what: string }[] = []
  const note = (what: string) => disturbed.push({ fromMs: performance.now(), what })
  for (let i = 1; i <= disturbances; i++) {
    await load.reached((changes * i) / (disturbances + 1))
    // A process that starts without its database ends with a message: that is not what is tested here.
    await Promise.all(processes.map(one => one.url()))
    if (i % 3 === 0) {
      note('Postgres stops')
      await server.stop('immediate')
      await server.start()
    } else if (i % 3 === 1) {
      note('walhook is killed')
      const victim = i % 4
      processes[victim]!.kill('SIGKILL')
      await processes[victim]!.exited
      processes[victim] = start(victim)
    } else {
      note('the link is cut')
      link.cut()
    }
  }
  const expected = await load.end(paths)
  await using psql = await connect(database.url)
  await until(
    async () =>
      (await readQueue(psql)).deliveries === 0 &&
      (await psql.query('select count(*)::int as n from walhook.events')).rows[0].n >=
        sumOf(expected) / paths.length,
    { what: 'all events to be delivered', timeoutMs: 120_000, intervalMs: 200 },
  )

  const { breaches, repetitions } = judgeAccount(receiver.account, expected, versionOf)
  expect(breaches).toEqual([])
  expect(await readQueue(psql)).toEqual({ deliveries: 0, setAside: 0 })
  const { rows } = await psql.query('select count(*)::int as n from walhook.ended_deliveries')
  expect(rows).toEqual([{ n: 0 }])
  const unexplained = repetitions.filter(
    ({ entry, acceptedAtMs }) =>
      !disturbed.some(({ fromMs }) => acceptedAtMs > fromMs - settleMs && entry.arrivedAtMs > fromMs),
  )
  expect(unexplained.map(({ entry }) => entry.messageId)).toEqual([])
  for (const one of processes) expect(one.stderr()).toBe('')
}, 300_000)

test('a rolling restart under load repeats nothing, and nothing waits as long as a lease', async () => {
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
  const { breaches, repetitions } = judgeAccount(receiver.account, expected, versionOf)
  expect(breaches).toEqual([])
  expect(repetitions.map(({ entry }) => entry.messageId)).toEqual([])
  expect(receiver.account.length).toBe(sumOf(expected))
  expect(Math.max(...waits)).toBeLessThan(leaseMs)
}, 180_000)

function sumOf(expected: ReadonlyMap<string, number>): number {
  return [...expected.values()].reduce((sum, versions) => sum + versions, 0)
}
