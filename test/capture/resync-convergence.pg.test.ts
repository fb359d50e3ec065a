import { expect, test } from 'vitest'
import { beginResync, occasionOf } from '../../src/capture/backfill/resync.ts'
import { openSource } from '../../src/capture/source/source.ts'
import { defaultMapping } from '../../src/domain/mapping/mapping.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { listOpenGaps, openGap } from '../../src/outbox/source/gaps.ts'
import { sleep } from '../../src/runtime/sleep.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { randomFrom } from '../support/random.ts'
import { startCapture } from '../support/run-capture.ts'
import { dropSlot } from '../support/slot.ts'
import { until } from '../support/wait.ts'

const seed = Number(process.env.WALHOOK_SEED ?? Math.floor(Math.random() * 2 ** 31))
const ids = 3_000

/** Inserts, updates, deletes and changes of keys, until it is ended. */
function startLoad(url: string, random: () => number) {
  const stop = new AbortController()
  const id = () => 1 + Math.floor(random() * ids)
  const statements = [
    () =>
      `insert into users values (${id()}, 'new ${id()}') on conflict (id) do update set name = excluded.name`,
    () => `update users set name = 'changed ${id()}' where id = ${id()}`,
    () => `delete from users where id = ${id()}`,
    () =>
      `update users set id = ${ids} + id where id = ${id()} and not exists (select from users u where u.id = ${ids} + users.id)`,
    () => `update users set name = 'many ' || id where id between ${id()} and ${id()}`,
    () => `delete from users where id between ${id()} and ${id()} and random() < 0.05`,
  ]
  const running = (async () => {
    await using psql = await connect(url)
    while (!stop.signal.aborted) {
      await psql.query(statements[Math.floor(random() * statements.length)]!())
      await sleep(random() * 5, stop.signal)
    }
  })()
  return async () => {
    stop.abort()
    await running
  }
}

test(`a resync under load, with restarts (WALHOOK_SEED=${seed}): receivers end with the table`, async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  const random = randomFrom(seed)
  await using psql = await connect(database.url)
  await psql.query(
    `create table companies (id integer primary key); create table users (id integer primary key, name text);
     insert into users select i, 'at first' from generate_series(1, ${ids}) i`,
  )
  await using outbox = openOutbox({ url: database.url, maxConnections: 2, onError() {} })
  const slotName = database.name.slice(0, 63)
  {
    await using capture = await startCapture(database)
    await psql.query(`update users set name = 'known'`)
    await capture.caughtUp()
  }
  for (let round = 0; round < 3; round++) {
    await dropSlot(psql, slotName)
    const end = startLoad(database.url, random)
    await sleep(300 * random())
    await openGap(outbox, { slotName, reason: 'slot missing', detail: 'dropped', fromLsn: 1n })
    {
      await using source = openSource({ url: database.url, onError() {} })
      const options = { slotName, publicationName: 'walhook', mapping: defaultMapping, onWaiting() {} }
      const occasion = await occasionOf(outbox, slotName)
      expect(await beginResync(source, outbox, occasion!, options)).toMatchObject({ ok: true })
    }
    const isEnded = async () => (await listOpenGaps(outbox, slotName)).length === 0
    while (!(await isEnded())) {
      await using capture = await startCapture(database)
      const stops = performance.now() + 3_000 * random()
      await until(async () => performance.now() > stops || (await isEnded()), {
        what: 'a restart',
        timeoutMs: 60_000,
      })
      void capture
    }
    await end()
    await using capture = await startCapture(database)
    await capture.caughtUp()
    const { rows } = await psql.query(
      `select coalesce(u.id, e.id) as id, u.name as is, e.name as told
       from users u full join (
         select distinct on (entity_id) entity_id::int as id, action_type, body::json #>> '{result,name}' as name
         from walhook.events where entity_type = 'user' order by entity_id, walhook.events.id desc
       ) e on e.id = u.id
       where u.name is distinct from e.name or (u.id is null) <> (coalesce(e.action_type, 'delete') = 'delete')`,
    )
    expect(rows).toEqual([])
  }
}, 180_000)
