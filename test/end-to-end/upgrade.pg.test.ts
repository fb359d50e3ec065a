import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { checkAccount, type Entry, startFaultyReceiver } from '../support/faulty-receiver.ts'
import { readQueue } from '../support/read-outbox.ts'
import { startVersionsLoad, versionsTables, versionsTriggers } from '../support/versions-load.ts'
import { until } from '../support/wait.ts'
import { startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

/**
 * `src/main.ts` of a checkout of the version before (0.1.1), with its packages installed: the upgrade is tested with real
 * processes of it. WALHOOK_UPGRADE_CHANGES is how much happens.
 */
const before = process.env.WALHOOK_BEFORE
const changes = Number(process.env.WALHOOK_UPGRADE_CHANGES || 40_000)
const perSecond = 2_000
const env = { WALHOOK_RETRY_SCHEDULE: Array(50).fill('5s').join(',') }

type Version = { entity_id: number; result: { version: number } }
const settleMs = 5_000

test('an upgrade under load with two processes of each version, and pending, retrying, batched and superseded events, loses nothing and keeps the order', async context => {
  if (!before) return context.skip('WALHOOK_BEFORE names no main.ts of the version before')
  await using database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query(versionsTables)
  let isMended = false
  await using receiver = await startFaultyReceiver(({ path }) =>
    path === '/crm' ? { delayMs: Math.random() * 20 } : isMended ? {} : { status: 500 },
  )
  const old = [1, 2].map(() => startWalhook(database, env, before))
  const processes: WalhookProcess[] = [...old]
  await using _ = {
    [Symbol.asyncDispose]: async () =>
      void (await Promise.all(processes.map(one => one[Symbol.asyncDispose]()))),
  }
  await Promise.all(old.map(one => one.ready()))
  for (const [path, more] of [
    ['/crm', {}],
    ['/shop', {}],
    ['/batches', { batch: { max_events: 50, max_wait_ms: 200 } }],
    ['/latest', { mode: 'latest' }],
  ] as const)
    await old[0]!.api('POST', '/api/webhooks', {
      ...more,
      name: path,
      url: receiver.url(path),
      triggers: versionsTriggers,
    })
  const load = startVersionsLoad(() => database.url, { users: 3_000, total: changes, perSecond })
  await until(() => load.made() >= changes * 0.7, { what: 'most of the changes', timeoutMs: 300_000 })
  const upgradedAtMs = performance.now()
  const next = [1, 2].map(() => startWalhook(database, env))
  processes.push(...next)
  await until(() => next.every(one => one.log.some(({ msg }) => msg === 'walhook.started')), {
    what: 'both to have started',
    timeoutMs: 240_000,
  })
  for (const one of old) one.kill('SIGTERM')
  await Promise.all(old.map(one => one.exited))
  const oldEndedAtMs = performance.now()
  await Promise.all(next.map(one => one.ready()))
  const expected = await load.end(['/crm', '/shop'])
  isMended = true
  await until(async () => (await readQueue(psql)).deliveries === 0, {
    what: 'all events to be delivered',
    timeoutMs: 400_000,
    intervalMs: 500,
  })
  const ofEach = receiver.account.filter(({ path }) => path === '/crm' || path === '/shop')
  const { breaches, repetitions } = checkAccount(ofEach, expected, body => body.result.version)
  expect(breaches.slice(0, 10)).toEqual([])
  // What a process of before had sent, or was about to send, and could not settle any more.
  const unexplained = repetitions.filter(
    ({ acceptedAtMs }) => acceptedAtMs < upgradedAtMs - settleMs || acceptedAtMs > oldEndedAtMs + settleMs,
  )
  expect(unexplained.map(({ entry }) => entry.messageId)).toEqual([])

  const newest = new Map([...expected].map(([lane, version]) => [lane.split(' ')[2]!, version]))
  for (const path of ['/batches', '/latest']) {
    const { wrong, last, versions } = inOrder(receiver.account.filter(entry => entry.path === path))
    expect([path, wrong.slice(0, 10)]).toEqual([path, []])
    expect([path, last]).toEqual([path, newest])
    if (path === '/batches') expect(versions).toBe([...newest.values()].reduce((a, b) => a + b, 0))
  }
  for (const one of next) expect(one.stderr()).toBe('')
}, 900_000)

/** Of accepted requests: versions of an entity that came after a newer one, the last of each, and how many different ones. */
function inOrder(account: readonly Entry[]) {
  const last = new Map<string, number>()
  const seen = new Set<string>()
  const wrong: string[] = []
  for (const { body, reaction, answeredAtMs } of account) {
    if (reaction.status !== undefined || answeredAtMs === null) continue
    for (const { entity_id, result } of [body].flat() as Version[]) {
      const key = String(entity_id)
      if (result.version < (last.get(key) ?? 0))
        wrong.push(`${key}: ${result.version} after ${last.get(key)}`)
      last.set(key, result.version)
      seen.add(`${key} ${result.version}`)
    }
  }
  return { wrong, last, versions: seen.size }
}
