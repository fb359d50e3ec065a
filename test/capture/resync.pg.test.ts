import { expect, test } from 'vitest'
import { beginResync, occasionOf } from '../../src/capture/backfill/resync.ts'
import { openSource } from '../../src/capture/source/source.ts'
import { defaultMapping, type EntityMapping } from '../../src/domain/mapping/mapping.ts'
import { type Outbox, openOutbox, transaction } from '../../src/outbox/database/database.ts'
import { openGap } from '../../src/outbox/source/gaps.ts'
import { beginResyncs, openResyncs } from '../../src/outbox/source/resyncs.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'
import { dropSlot, slotIsFree } from '../support/slot.ts'
import { until } from '../support/wait.ts'

async function open(sql: string, mapping: readonly EntityMapping[] = defaultMapping) {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(
    `create table companies (id integer primary key); create table users (id integer primary key, name text); ${sql}`,
  )
  const outbox = openOutbox({ url: database.url, maxConnections: 2, onError() {} })
  const slotName = database.name.slice(0, 63)
  return {
    database,
    psql,
    outbox,
    slotName,
    start: () => startCapture(database, mapping),
    dropSlot: () => dropSlot(psql, slotName),
    /** As `walhook resync --yes`. */
    async begin() {
      await openGap(outbox, { slotName, reason: 'slot missing', detail: 'dropped', fromLsn: 1n })
      await using source = openSource({ url: database.url, onError() {} })
      const options = { slotName, publicationName: 'walhook', mapping, onWaiting() {} }
      const occasion = await occasionOf(outbox, slotName)
      expect(await beginResync(source, outbox, occasion!, options)).toMatchObject({ ok: true })
    },
    isResynced: () => gapEnded(outbox, slotName),
    async events(after: number) {
      const { rows } = await psql.query(
        `select entity_type || ' ' || entity_id || ' ' || action_type || coalesce(' ' || (body::json #>> '{result,name}'), '') as line
         from walhook.events order by id offset $1`,
        [after],
      )
      return rows.map(({ line }): string => line)
    },
    async [Symbol.asyncDispose]() {
      await outbox[Symbol.asyncDispose]()
      await psql.end()
      await database.drop()
    },
  }
}

async function gapEnded(outbox: Outbox, slotName: string) {
  const isEnded = async () => {
    if ((await occasionOf(outbox, slotName)) === null) return true
    throw new Error(JSON.stringify(await openResyncs(outbox, slotName), asText))
  }
  await until(isEnded, {
    what: 'the gap to end',
    timeoutMs: 60_000,
  })
}

const asText = (_key: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value)

test('a resync sends unknown rows as new, known ones as update, deletes missing ones, and ends the gap', async () => {
  await using at = await open(`insert into users select i, 'old' from generate_series(1, 3) i`)
  {
    await using capture = await at.start()
    await at.psql.query(
      `update users set name = 'known'; insert into users values (10, 'known'), (11, 'known')`,
    )
    await at.psql.query(`delete from users where id = 3; insert into companies values (1)`)
    await capture.caughtUp()
  }
  const before = (await at.events(0)).length
  await at.dropSlot()
  await at.begin()
  await at.psql.query(`insert into users values (5, 'since')`)
  await using capture = await at.start()
  await at.isResynced()
  await capture.caughtUp()
  const told = await at.events(before)
  // 5 was told by its own event, and needs no other; whichever comes first.
  expect(told.filter(line => !line.startsWith('user 5')).toSorted()).toEqual([
    'company 1 update',
    'user 1 update known',
    'user 10 update known',
    'user 11 update known',
    'user 2 update known',
  ])
  expect(told.find(line => line.startsWith('user 5'))).toBe('user 5 new since')
})

test('a resync covers changes made while walhook was stopped', async () => {
  await using at = await open('')
  {
    await using capture = await at.start()
    await at.psql.query(`insert into users select i, 'old' from generate_series(1, 2500) i`)
    await at.psql.query(`delete from users where id = 7`)
    await capture.caughtUp()
  }
  const before = (await at.events(0)).length
  await at.dropSlot()
  await at.psql.query(
    `delete from users where id % 2 = 0; insert into users values (7, 'back'), (3000, 'added'); update users set name = 'changed' where id = 1`,
  )
  await at.begin()
  await using capture = await at.start()
  await at.isResynced()
  await capture.caughtUp()
  const told = await at.events(before)
  expect(told.filter(line => line.endsWith('delete'))).toHaveLength(1250)
  expect(told.filter(line => line.endsWith('update old'))).toHaveLength(1248)
  expect(told.filter(line => !/(delete|update old)$/.test(line))).toEqual([
    'user 1 update changed',
    'user 7 new back',
    'user 3000 new added',
  ])
})

test('rows that change while a resync looks for deleted ones are sent correctly', async () => {
  await using at = await open('')
  {
    await using capture = await at.start()
    await at.psql.query(`insert into users select i, 'old' from generate_series(1, 5) i`)
    await capture.caughtUp()
  }
  const before = (await at.events(0)).length
  await at.dropSlot()
  await at.psql.query('delete from users where id <= 4')
  await at.begin()
  // In the stream before the first page.
  await at.psql.query(`insert into users values (1, 'again'), (2, 'again'); delete from users where id = 2`)
  await at.psql.query(`insert into users values (3, 'short'); delete from users where id = 3`)
  await using capture = await at.start()
  await at.isResynced()
  await capture.caughtUp()
  // 1 is told twice: a webhook that knows it, but wants no `new`, hears only the update. Nobody was told that it was gone.
  expect((await at.events(before)).toSorted()).toEqual([
    'user 1 new again',
    'user 1 update again',
    'user 2 delete',
    'user 3 delete',
    'user 4 delete',
    'user 5 update old',
  ])
})

test("keys of the column's former type are deleted; those of the new type are sent", async () => {
  await using at = await open('')
  {
    await using capture = await at.start()
    await at.psql.query(`insert into users select i, 'old' from generate_series(1, 3) i`)
    await capture.caughtUp()
  }
  const before = (await at.events(0)).length
  await at.dropSlot()
  await at.psql.query(
    `alter table users alter id type uuid using ('00000000-0000-0000-0000-00000000000' || id)::uuid`,
  )
  await at.begin()
  await using capture = await at.start()
  await at.isResynced()
  await capture.caughtUp()
  expect(await at.events(before)).toEqual([
    'user 00000000-0000-0000-0000-000000000001 new old',
    'user 00000000-0000-0000-0000-000000000002 new old',
    'user 00000000-0000-0000-0000-000000000003 new old',
    'user 3 delete',
    'user 2 delete',
    'user 1 delete',
  ])
})

test('a resync of one table needs no new slot, restarts for a second gap, and ends both', async () => {
  await using at = await open(`insert into companies values (1)`)
  await using capture = await at.start()
  await at.psql.query(`insert into users values (1, 'told')`)
  await capture.caughtUp()
  const order = () =>
    transaction(at.outbox.pool, async client => {
      await openGap(at.outbox, { slotName: at.slotName, reason: 'slot moved', detail: 'x', fromLsn: 1n })
      await beginResyncs(client, { slotName: at.slotName, entityTypes: ['user'] })
    })
  await order()
  await order()
  await at.isResynced()
  expect(new Set((await at.events(1)).slice(0))).toEqual(new Set(['user 1 update told']))
})

test('an entity removed from the mapping does not keep the gap open', async () => {
  const [user] = defaultMapping
  await using at = await open('', [user!])
  {
    await using _capture = await at.start()
  }
  await at.dropSlot()
  await at.begin()
  await at.psql.query(`update walhook.resyncs set entity_type = 'gone'`)
  await using _capture = await at.start()
  await at.isResynced()
})

test('an ALTER TABLE, and a SELECT behind it, wait for at most one page of a resync', async () => {
  await using at = await open('')
  {
    await using _capture = await at.start()
  }
  await at.psql.query(`insert into users select i, 'row' from generate_series(1, 20000) i`)
  await at.dropSlot()
  await at.begin()
  await using capture = await at.start()
  const rowsDone = async () =>
    (await openResyncs(at.outbox, at.slotName)).find(({ entityType }) => entityType === 'user')?.rowsDone
  await until(async () => ((await rowsDone()) ?? 0) > 0, { what: 'the first page' })
  await at.psql.query('alter table users add column note text')
  // It came in between: the resync is not over.
  const before = await rowsDone()
  await at.psql.query('select count(*) from users')
  await at.isResynced()
  expect(before).toBeLessThan(20000)
  await capture.caughtUp()
  const told = (await at.events(0)).filter(line => line.startsWith('user'))
  expect(new Set(told.map(line => line.split(' ')[1])).size).toBe(20000)
})

test('a new slot keeps the properties of the old one', async ({ skip }) => {
  await using at = await open('')
  const { rows } = await at.psql.query(`select current_setting('server_version_num')::int as version`)
  if (rows[0].version < 170000) skip('slots that survive a failover came with PostgreSQL 17')
  await at.psql.query(
    'create publication walhook for table users, companies with (publish_via_partition_root = true)',
  )
  await at.psql.query(`select pg_create_logical_replication_slot($1, 'pgoutput', failover => true)`, [
    at.slotName,
  ])
  {
    await using _capture = await at.start()
  }
  const flags = 'select failover, two_phase from pg_replication_slots where slot_name = $1'
  await slotIsFree(at.psql, at.slotName)
  await at.begin()
  expect((await at.psql.query(flags, [at.slotName])).rows).toEqual([{ failover: true, two_phase: false }])
})
