import { expect, test } from 'vitest'
import type { SlowStatement } from '../../src/domain/capture/backend.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { createWatch } from '../../src/outbox/database/watched-client.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { openTestLink } from '../support/test-link.ts'
import { until } from '../support/wait.ts'

test("a dead connection's locks are released, because the server ends its side too", async () => {
  await using database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query('create table things (id integer primary key); insert into things values (1)')
  await using link = await openTestLink(database.url)
  const watch = createWatch({ url: link.url, askAfterMs: 2_500 })
  await using outbox = openOutbox({ url: link.url, maxConnections: 2, onError() {}, watch })
  const client = await outbox.pool.connect()
  await client.query('begin; select from things for update')
  link.stallThese()
  await expect(client.query('select')).rejects.toThrow('the link to the database is dead')
  client.release(true)
  await until(async () => (await psql.query('select from things for update skip locked')).rowCount === 1, {
    what: 'the row to be free',
  })
})

test("a dead connection's locks are released once the server can be reached again", async () => {
  await using database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query('create table things (id integer primary key); insert into things values (1)')
  await using link = await openTestLink(database.url)
  const watch = createWatch({ url: link.url, askAfterMs: 2_500 })
  await using outbox = openOutbox({ url: link.url, maxConnections: 2, onError() {}, watch })
  const client = await outbox.pool.connect()
  await client.query('begin; select from things for update')
  // The link never passes on the end of this connection, as a proxy that keeps the server's side.
  link.stallThese()
  link.stall()
  await expect(client.query('select')).rejects.toThrow('the link to the database is dead')
  client.release(true)
  // Longer than an attempt to end the server's side takes.
  await expect(outbox.pool.query('select')).rejects.toThrow()
  link.heal()
  await until(async () => (await psql.query('select from things for update skip locked')).rowCount === 1, {
    what: 'the row to be free',
  })
})

test("a statement that waits for a lock continues, and the log names the lock's holder", async () => {
  await using database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query('create table things (id integer primary key)')
  const slow: SlowStatement[] = []
  await using outbox = openOutbox({
    url: database.url,
    maxConnections: 1,
    onError() {},
    onSlow: statement => slow.push(statement),
    watch: createWatch({ url: database.url, askAfterMs: 300 }),
  })
  await psql.query('begin; lock table things')
  const { rows } = await psql.query('select pg_backend_pid() as pid')
  const counted = outbox.pool.query('select count(*)::int as n from things')
  await until(() => slow.length >= 2, { what: 'the statement to be told of twice' })
  await psql.query('rollback')
  expect((await counted).rows).toEqual([{ n: 0 }])
  expect(slow[0]).toMatchObject({
    waitsFor: 'a lock of things',
    heldBy: [expect.stringContaining(`pid ${rows[0].pid} `)],
  })
})
