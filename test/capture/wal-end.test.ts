import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { openOwnServer } from '../support/own-database.ts'
import { readEvents } from '../support/read-outbox.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

test('PostgreSQL with the outbox inside shuts down without waiting for walhook', async () => {
  // Without a timeout the server would wait for ever.
  await using server = await openOwnServer({ wal_sender_timeout: '0' })
  const database = await server.database()
  const psql = await connect(database.url)
  await psql.query(
    'create table users (id integer primary key); create table companies (id integer primary key)',
  )
  await using walhook = startWalhook(database)
  await walhook.ready()
  await psql.query('insert into users values (1)')
  await until(async () => (await readEvents(psql)).length === 1, { what: 'the event' })
  await psql.query('create table other (id integer); insert into other values (1)')
  // Only a shutdown in good order keeps its rows.
  await psql.query('create unlogged table witness (id integer); insert into witness values (1)')
  await psql.end()
  await server.stop('fast')
  await server.start()
  await using again = await connect(database.url)
  expect((await again.query('select from witness')).rowCount).toBe(1)
  await again.query('insert into users values (2)')
  await walhook.ready()
  await until(async () => (await readEvents(again)).length === 2, { what: 'the next event' })
  expect(await readEvents(again)).toEqual(['user 1 new', 'user 2 new'])
})
