import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { checkAccount, type FaultyReceiver, startFaultyReceiver } from '../support/faulty-receiver.ts'
import { readQueue } from '../support/read-outbox.ts'
import { startVersionsLoad, versionsTables, versionsTriggers } from '../support/versions-load.ts'
import { until } from '../support/wait.ts'
import { startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

const env = { WALHOOK_RETRY_SCHEDULE: Array(40).fill('1s').join(',') }
const versionOf = (body: { result: { version: number } }) => body.result.version
// Each test has processes of its own, and mostly waits for their time to end: they run side by side.
const sumOf = (expected: ReadonlyMap<string, number>) =>
  [...expected.values()].reduce((sum, versions) => sum + versions, 0)

/** Processes that deliver side by side, one of which captures, and a webhook of theirs. */
async function openHolders(receiver: FaultyReceiver, environments: readonly Record<string, string>[]) {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(versionsTables)
  const processes: WalhookProcess[] = []
  // The first one captures.
  for (const own of environments) {
    const one = startWalhook(database, { ...env, ...own })
    processes.push(one)
    await one.ready()
  }
  await processes[0]!.api('POST', '/api/webhooks', {
    name: 'CRM',
    url: receiver.url('/crm'),
    triggers: versionsTriggers,
  })
  const holders = async (): Promise<{ id: number; shares: number; aliveUntil: Date }[]> =>
    (
      await psql.query(
        `select h.id, h.alive_until, (select count(*)::int from walhook.shares s where s.holder_id = h.id) as shares
         from walhook.holders h order by h.id`,
      )
    ).rows.map(row => ({ id: row.id, shares: row.shares, aliveUntil: row.alive_until }))
  await until(async () => (await holders()).every(({ shares }) => shares === 12 / environments.length), {
    what: 'the shares to be divided',
  })
  return {
    database,
    psql,
    processes,
    holders,
    answered: () => receiver.account.filter(({ answeredAtMs }) => answeredAtMs !== null).length,
    allSettled: () =>
      until(async () => (await readQueue(psql)).deliveries === 0, {
        what: 'all to be settled',
        timeoutMs: 60_000,
        intervalMs: 100,
      }),
    async [Symbol.asyncDispose]() {
      await Promise.all(processes.map(one => one[Symbol.asyncDispose]()))
      await psql.end()
    },
  }
}

test.concurrent('a process stopped for longer than its lease sends and settles nothing old when it resumes', async () => {
  await using receiver = await startFaultyReceiver(() => ({ delayMs: 20 + Math.random() * 200 }))
  await using at = await openHolders(receiver, [{}, {}])
  const load = startVersionsLoad(() => at.database.url, { users: 60, total: 600, perSecond: 100 })
  await load.reached(150)
  const [, victim] = at.processes
  const stopped = (await at.holders())[1]!
  victim!.kill('SIGSTOP')
  try {
    // The other one has all shares, long before what the stopped one had sent can be over.
    await until(async () => (await at.holders()).some(({ shares }) => shares === 12), {
      what: 'the other one to take over',
    })
    expect((await at.holders()).map(({ id }) => id)).not.toContain(stopped.id)
    await load.reached(600)
    const expected = await load.end(['/crm'])
    await at.allSettled()
    await until(() => Date.now() > stopped.aliveUntil.getTime(), {
      what: 'its time to end',
      timeoutMs: 60_000,
    })
    const before = receiver.account.length
    victim!.kill('SIGCONT')
    // It has become another holder, and has its shares back.
    await until(async () => (await at.holders()).filter(({ shares }) => shares === 6).length === 2, {
      what: 'it to join anew',
      timeoutMs: 60_000,
    })
    await victim!.logged('delivery.taken_over_from')
    expect(receiver.account.length).toBe(before)
    const { breaches, repetitions } = checkAccount(receiver.account, expected, versionOf)
    expect(breaches).toEqual([])
    // What it had under way when it was stopped may have arrived, and is sent again, and nothing else.
    expect(repetitions.length).toBeLessThan(200)
    await at.psql.query(`update users set version = version + 1`)
    await until(() => receiver.account.length >= before + 60, { what: 'both to go on' })
  } finally {
    victim!.kill('SIGCONT')
  }
}, 180_000)

test.concurrent('unsent events of a killed process are sent by another one before its own requests can have ended', async () => {
  await using receiver = await startFaultyReceiver(() => ({ delayMs: 20 }))
  await using at = await openHolders(receiver, [{}, {}])
  await at.psql.query(`insert into users select n, 1, now() from generate_series(1, 100) n`)
  await until(() => at.answered() === 100, { what: 'all users to be told' })
  await at.allSettled()
  const killed = (await at.holders())[1]!
  at.processes[1]!.kill('SIGKILL')
  await at.processes[1]!.exited
  await at.psql.query('update users set version = 2')
  await until(() => at.answered() === 200, { what: 'every change' })
  expect(Date.now()).toBeLessThan(killed.aliveUntil.getTime())
  expect(receiver.account.length).toBe(200)
}, 120_000)

test.concurrent('deliveries of a stopping process are sent by another one while its last requests are in flight', async () => {
  await using receiver = await startFaultyReceiver(({ path }) => (path === '/mute' ? { fault: 'hang' } : {}))
  await using at = await openHolders(receiver, [{}, {}])
  const mute = { name: 'ERP', url: receiver.url('/mute'), triggers: versionsTriggers }
  await at.processes[0]!.api('POST', '/api/webhooks', mute)
  await at.psql.query('insert into users select n, 1, now() from generate_series(1, 100) n')
  await until(() => at.answered() === 100 && receiver.open('/mute') >= 10, { what: 'some to be under way' })
  const stopping = at.processes[1]!
  stopping.kill('SIGTERM')
  await until(async () => (await at.holders()).some(({ shares }) => shares === 12), {
    what: 'the other one to have all shares',
  })
  await at.psql.query('update users set version = 2')
  await until(() => at.answered() === 200, { what: 'every change' })
  expect(stopping.hasEnded()).toBe(false)
  expect((await at.holders()).length).toBe(2)
}, 120_000)

test.concurrent('processes with clocks two hours apart share the work and take over from each other', async () => {
  const clock = pathToFileURL(join(import.meta.dirname, '..', 'chaos', 'clock.ts')).href
  const shifted = async (name: string, ms: number) => {
    const file = join(tmpdir(), `holders-${process.pid}-${name}.clock`)
    await writeFile(file, String(ms))
    return { CHAOS_CLOCK: file, NODE_OPTIONS: `--import ${clock}` }
  }
  await using receiver = await startFaultyReceiver(() =>
    Math.random() < 0.1 ? { status: 500 } : { delayMs: Math.random() * 50 },
  )
  const environments = [await shifted('ahead', 3_600_000), await shifted('behind', -3_600_000)]
  await using at = await openHolders(receiver, environments)
  const load = startVersionsLoad(() => at.database.url, { users: 40, total: 400, perSecond: 100 })
  await load.reached(200)
  at.processes[0]!.kill('SIGKILL')
  await at.processes[0]!.exited
  const next = startWalhook(at.database, { ...env, ...environments[0] })
  at.processes[0] = next
  const expected = await load.end(['/crm'])
  await next.ready()
  await until(() => at.answered() >= sumOf(expected), { what: 'all to arrive', timeoutMs: 90_000 })
  await at.allSettled()
  expect(checkAccount(receiver.account, expected, versionOf).breaches).toEqual([])
}, 180_000)
