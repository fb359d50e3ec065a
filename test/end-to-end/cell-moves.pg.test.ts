import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { killedMove, moveNow } from '../support/move-process.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { runWalhook, startWalhook } from '../support/walhook-process.ts'

const tables = `
  create table users (id integer primary key, version integer);
  create table companies (id integer primary key);`
const users = 40

test('a webhook moves under load with its mover killed at each step: nothing is lost, repeated or reordered', {
  timeout: 400_000,
}, async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using receiver = await startTestReceiver(async () => 204)
  await using psql = await connect(database.url)
  await psql.query(tables)
  await using walhook = startWalhook(database)
  await walhook.ready()
  const { id } = (await walhook.api('POST', '/api/webhooks', {
    name: 'CRM',
    url: receiver.url,
    triggers: ['user.new', 'user.update'],
  })) as { id: number }
  expect(await runWalhook(database, ['cell', 'add', 'west'])).toMatchObject({ code: 0, stderr: '' })
  await psql.query('insert into users select i, 0 from generate_series(1, $1) i', [users])

  let version = 0
  let isOver = false
  const load = (async () => {
    await using writer = await connect(database.url)
    while (!isOver) {
      await writer.query('update users set version = $1 where id % 4 = $1 % 4', [++version])
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  })()
  const placement = async () =>
    (await psql.query('select cell, moving_to from walhook.placements where webhook_id = $1', [id]))
      .rows[0] ?? null
  const settled = () =>
    until(async () => ((await placement())?.moving_to ?? null) === null, { what: 'the move to be settled' })
  const where = async () => (await placement())?.cell ?? 'main'
  const arrives = async () => {
    const before = receiver.arrivals.length
    await until(() => receiver.arrivals.length > before, { what: 'deliveries to go on' })
  }
  const place = { url: database.url, webhookId: id }

  try {
    for (const step of ['held', 'copied'] as const) {
      await killedMove({ ...place, to: 'west', until: step })
      await settled()
      expect(await where()).toBe('main')
      await arrives()
    }
    await killedMove({ ...place, to: 'west', until: 'cut over' })
    await settled()
    expect(await where()).toBe('west')
    await arrives()
    expect(await moveNow({ ...place, to: 'main' })).toEqual({ ok: true, isMoved: true })
    expect(await where()).toBe('main')
    await arrives()
    expect(await moveNow({ ...place, to: 'west' })).toEqual({ ok: true, isMoved: true })
    await arrives()
  } finally {
    isOver = true
    await load
  }

  const expected = new Map<number, number[]>()
  for (let user = 1; user <= users; user++)
    expected.set(user, [
      0,
      ...Array.from({ length: version }, (_, i) => i + 1).filter(v => v % 4 === user % 4),
    ])
  const total = [...expected.values()].reduce((sum, { length }) => sum + length, 0)
  await until(() => receiver.arrivals.length >= total, { what: `${total} deliveries` })
  const arrived = new Map<number, number[]>()
  for (const { body } of receiver.arrivals) {
    const { entity_id: user, result } = JSON.parse(body)
    arrived.set(user, [...(arrived.get(user) ?? []), result.version])
  }
  for (const [user, versions] of expected) expect([user, arrived.get(user)]).toEqual([user, versions])

  // Its log has moved along, and is nowhere twice.
  const attempts = async (schema: string) =>
    (await psql.query(`select count(*)::int as n from ${schema}.attempts where webhook_id = $1`, [id]))
      .rows[0].n
  await until(async () => (await attempts('walhook_west')) === total, { what: 'the log' })
  expect(await attempts('walhook')).toBe(0)
})
