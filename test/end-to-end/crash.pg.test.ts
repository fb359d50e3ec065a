import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { readEvents, readQueue } from '../support/read-outbox.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

const kills = 20
const totalChanges = 5_000
const maxInFlightPerWebhook = 100
const tables = `
  create table users (id integer primary key, version integer);
  create table companies (id integer primary key, version integer);`
const triggers = ['user.new', 'user.update', 'user.delete', 'company.new', 'company.update', 'company.delete']

test(`${kills} SIGKILLs under a load of ${totalChanges} changes lose nothing, store no event twice and never send an older state`, async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using receiver = await startTestReceiver()
  await using psql = await connect(database.url)
  await psql.query(tables)

  const first = startWalhook(database)
  await first.ready()
  await first.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers })
  const load = startLoad(await connect(database.url))

  let walhook: WalhookProcess = first
  for (let kill = 1; kill <= kills; kill++) {
    // Any moment, from the first steps of the start to full run. The load never rests meanwhile.
    await load.changes((totalChanges * kill) / (kills + 1))
    if (Math.random() < 0.7) await walhook.logged('capture.state', { state: 'streaming' })
    await new Promise(resolve => setTimeout(resolve, Math.random() * 300))
    walhook.kill('SIGKILL')
    expect(await walhook.exited).toEqual({ code: null, signal: 'SIGKILL' })
    walhook = startWalhook(database)
  }
  await using last = walhook
  const expected = await load.end()
  expect(expected).toHaveLength(totalChanges)

  await until(async () => (await readEvents(psql, 'version')).length >= totalChanges, {
    what: 'all changes to become events',
  })
  // Leases of killed processes must end before anybody takes over what they were sending.
  await until(async () => (await readQueue(psql)).deliveries === 0, {
    what: 'all events to be delivered',
    timeoutMs: 90_000,
  })
  expect(await readEvents(psql, 'version')).toEqual(expected)
  expect(await readQueue(psql)).toEqual({ deliveries: 0, setAside: 0 })

  const arrivals = new Map<string, Set<string>>()
  const repeated = []
  for (const { body, messageId } of receiver.arrivals) {
    const { entity_type, entity_id, action_type, result } = JSON.parse(body)
    const story = arrivals.get(`${entity_type} ${entity_id}`) ?? new Set()
    arrivals.set(`${entity_type} ${entity_id}`, story)
    const arrival = `${action_type}${result ? ` ${result.version}` : ''} ${messageId}`
    // A killed process may have sent what it could not settle: that one comes again, and no older one ever.
    if (story.has(arrival)) {
      repeated.push(arrival)
      expect([...story].at(-1)).toBe(arrival)
    }
    story.add(arrival)
  }
  const stories = (lines: Iterable<[string, string]>) => {
    const byEntity = new Map<string, string[]>()
    for (const [entity, line] of lines) byEntity.set(entity, [...(byEntity.get(entity) ?? []), line])
    return byEntity
  }
  const delivered = [...arrivals].flatMap(([entity, story]) =>
    [...story].map(line => [entity, line.replace(/ msg_\S+$/, '')] as [string, string]),
  )
  expect(stories(delivered)).toEqual(
    stories(
      expected.map(line => {
        const [type, id, ...rest] = line.split(' ')
        return [`${type} ${id}`, rest.join(' ')]
      }),
    ),
  )
  expect(repeated.length).toBeLessThanOrEqual(kills * maxInFlightPerWebhook)
  expect(last.stderr()).toBe('')
}, 240_000)

/**
 * Writes in transactions of 1 to 8 changes, each of another entity, so that every change is one event and the
 * order of the events is known.
 */
function startLoad(client: Awaited<ReturnType<typeof connect>>) {
  const expected: string[] = []
  const alive: { table: string; type: string; id: number; version: number }[] = []
  let nextId = 1
  let goal = 0

  async function transaction(size: number) {
    const touched = new Set<object>()
    const lines: string[] = []
    await client.query('begin')
    for (let i = 0; i < size; i++) {
      const dice = Math.random()
      const found = alive[Math.floor(Math.random() * alive.length)]
      const entity = dice > 0.3 && found && !touched.has(found) ? found : null
      if (!entity) {
        const id = nextId++
        const [table, type] = id % 2 ? ['users', 'user'] : ['companies', 'company']
        const created = { table: table!, type: type!, id, version: 1 }
        await client.query(`insert into ${table} values ($1, 1)`, [id])
        alive.push(created)
        touched.add(created)
        lines.push(`${type} ${id} new 1`)
      } else if (dice > 0.9) {
        await client.query(`delete from ${entity.table} where id = $1`, [entity.id])
        alive.splice(alive.indexOf(entity), 1)
        lines.push(`${entity.type} ${entity.id} delete`)
      } else {
        await client.query(`update ${entity.table} set version = $2 where id = $1`, [
          entity.id,
          ++entity.version,
        ])
        touched.add(entity)
        lines.push(`${entity.type} ${entity.id} update ${entity.version}`)
      }
    }
    await client.query('commit')
    expected.push(...lines)
  }

  let isEnding = false
  const running = (async () => {
    while (expected.length < totalChanges) {
      if (expected.length >= goal && !isEnding) {
        // Slowly on while a process starts, so that none meets an idle source.
        goal += 1
        await new Promise(resolve => setTimeout(resolve, 20))
      }
      await transaction(Math.min(1 + Math.floor(Math.random() * 8), totalChanges - expected.length))
    }
  })()

  return {
    async changes(upTo: number) {
      goal = Math.max(goal, Math.floor(upTo))
      await until(() => expected.length >= Math.min(upTo, totalChanges), { what: `${upTo} changes` })
    },
    async end() {
      isEnding = true
      await running
      await client.end()
      return expected
    },
  }
}
