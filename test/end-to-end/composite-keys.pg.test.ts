import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { joinKey } from '../../src/domain/mapping/entity-key.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { runWalhook, startWalhook } from '../support/walhook-process.ts'

const mapping = {
  entities: {
    user: { table: 'users', key: ['tenant', 'code'] },
    item: { table: 'items', key: ['a', 'b', 'c'] },
  },
}

const hostile = [
  'a/b',
  `q"uo'te`,
  '100%',
  '%2C',
  ',',
  'ü✓😀',
  ' ',
  '',
  '..',
  '?x=1&y#z',
  '<b>',
  '\\',
  'x'.repeat(1_000),
]

test('keys of two and three columns with hostile values: events, explain, log, resend, replay and forget, by API and command', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(`create table users (tenant integer, code text, name text, primary key (tenant, code));
    create table items (a text, b integer, c text, name text, primary key (a, b, c))`)
  const file = join(await mkdtemp(join(tmpdir(), 'walhook-keys-')), 'walhook.yaml')
  await writeFile(file, JSON.stringify(mapping))
  await using receiver = await startTestReceiver()
  await using walhook = startWalhook(database, { WALHOOK_CONFIG: file })
  await walhook.ready()
  const triggers = ['user.new', 'item.new']
  const { id: webhook } = await walhook.api('POST', '/api/webhooks', {
    name: 'x',
    url: receiver.url,
    triggers,
  })
  for (const value of hostile) {
    await psql.query(`insert into users values (1, $1, 'n')`, [value])
    await psql.query(`insert into items values ($1, 2, 'c,d', 'n')`, [value])
  }
  const entities = hostile.flatMap(value => [
    { type: 'user', id: joinKey(['1', value]) },
    { type: 'item', id: joinKey([value, '2', 'c,d']) },
  ])
  const ids = () => receiver.arrivals.map(({ entityType, entityId }) => `${entityType} ${entityId}`).sort()
  const all = entities.map(({ type, id }) => `${type} ${id}`).sort()
  await until(() => receiver.arrivals.length >= all.length, { what: 'all to be sent' })
  expect(ids()).toEqual(all)

  type Page = { data: { id: string; entity_id: string }[] }
  const of = ({ type, id }: { type: string; id: string }) =>
    new URLSearchParams({ entity_type: type, entity_id: id })
  const eventsOf = async (entity: { type: string; id: string }) =>
    (await walhook.api('GET', `/api/events?${of(entity)}`)) as unknown as Page
  const logOf = async (entity: { type: string; id: string }) =>
    (await walhook.api('GET', `/api/webhooks/${webhook}/log?${of(entity)}`)) as unknown as Page
  // What is in flight is neither replayed nor forgotten: the receiver has a request before it is settled.
  const settled = async (times: number) => {
    for (const entity of entities)
      await until(async () => (await logOf(entity)).data.length === times, {
        what: `${times} attempts of ${entity.id} in the log`,
      })
  }
  const events: string[] = []
  for (const entity of entities) {
    const { data: items } = await eventsOf(entity)
    expect(items.map(({ entity_id }) => entity_id)).toEqual([entity.id])
    events.push(items[0]!.id)
    await until(async () => (await logOf(entity)).data.length === 1, { what: `the log of ${entity.id}` })
    expect(await walhook.api('GET', `/api/events/${items[0]!.id}`)).toMatchObject({
      entity_id: entity.id,
      deliveries: [{ webhook_id: webhook }],
    })
  }
  for (const event_id of events) await walhook.api('POST', `/api/webhooks/${webhook}/resend`, { event_id })
  await until(() => receiver.arrivals.length >= 2 * all.length, { what: 'all to be sent again' })
  await settled(2)
  expect(ids()).toEqual([...all, ...all].sort())
  const idsOf = (of: typeof receiver.arrivals) => [...new Set(of.map(({ messageId }) => messageId))]
  expect(idsOf(receiver.arrivals)).toHaveLength(all.length)
  expect(await walhook.api('POST', `/api/webhooks/${webhook}/replay`, { event_ids: events })).toMatchObject({
    queued: all.length,
  })
  await until(() => receiver.arrivals.length >= 3 * all.length, { what: 'all to be replayed' })
  await settled(3)

  const [first, second, third, ...others] = entities
  await psql.query('truncate users, items')
  expect(
    await walhook.api('POST', '/api/forget', { entity_type: first!.type, entity_id: first!.id }),
  ).toMatchObject({ events: 1, is_complete: true })
  for (const { type, id } of [second!, third!]) {
    const forgotten = await runWalhook(database, ['forget', '--entity', type, '--id', id], {
      WALHOOK_CONFIG: file,
    })
    expect(forgotten.stdout + forgotten.stderr).toMatch(/forgotten: 1 events/)
  }
  for (const entity of [first!, second!, third!]) expect((await eventsOf(entity)).data).toEqual([])
  for (const entity of others) expect((await eventsOf(entity)).data).toHaveLength(1)
})
