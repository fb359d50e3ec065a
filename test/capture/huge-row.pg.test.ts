import { expect, test } from 'vitest'
import { isDone, openBackfills } from '../support/backfill.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'

test('a row above 512 MB, which no string can hold, is set aside; process and capture continue', async () => {
  await using source = await createTestDatabase()
  await using psql = await connect(source.url)
  await psql.query(`create table users (id integer primary key, name text, story text);
    create table companies (id integer primary key);
    insert into users values (1, 'sound', ''), (2, 'huge', repeat('x', 540000000))`)
  await using capture = await startCapture(source)
  await using backfills = await openBackfills(source)
  await backfills.webhook('user.new')
  // Its story is in the table only, and not in the WAL.
  await psql.query(`update users set name = 'changed'; insert into companies values (1)`)
  await capture.caughtUp()
  const { rows } = await psql.query(
    `select entity_type || ' ' || entity_id || ' ' || action_type as event from walhook.events order by id`,
  )
  expect(rows.map(({ event }) => event)).toEqual(['user 1 update', 'company 1 new'])
  const parked = async () => (await psql.query('select entity_id, reason from walhook.parked_changes')).rows
  const reason = expect.stringMatching(/its row cannot be read: .*ERR_STRING_TOO_LONG/)
  expect(await parked()).toEqual([{ entity_id: '2', reason }])
  await backfills.is(await backfills.start(), isDone, 'the backfill to be done', 200_000)
  expect(await parked()).toEqual([
    { entity_id: '2', reason },
    { entity_id: '2', reason },
  ])
  expect(await backfills.deliveries()).toEqual(['1 user 1 new'])
}, 300_000)
