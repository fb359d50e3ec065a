import { expect, test } from 'vitest'
import { readMappingFile } from '../../src/domain/mapping/mapping-file.ts'
import { startCaptureProcess } from '../support/capture-process.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'
import { until } from '../support/wait.ts'

/** WALHOOK_MEMBERS=100000 is what the guide speaks of. */
const members = Number(process.env.WALHOOK_MEMBERS || 2_500)
const patience = { timeoutMs: 60_000 + members * 10 }

const schema = `
  create table groups (id integer primary key, name text);
  create table users (id integer primary key, name text);
  create table users_groups (user_id integer, group_id integer, primary key (user_id, group_id));
  create index on users_groups (group_id);
  insert into groups values (1, 'everybody'), (2, 'few');
  insert into users select i, 'user ' || i from generate_series(1, ${members}) i;
  insert into users_groups select i, 1 from generate_series(1, ${members}) i;
  insert into users_groups values (1, 2), (2, 2);`

const read = readMappingFile({
  entities: {
    user: {
      table: 'users',
      related: {
        groups: {
          table: 'groups',
          through: { table: 'users_groups', owner: 'user_id', to: 'group_id' },
          value: 'name',
        },
      },
    },
  },
})
if (!read.ok) throw new Error(JSON.stringify(read.problems))
const { mapping } = read

async function open() {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(schema)
  return {
    ...{ database, psql },
    async isOver() {
      const { rows } = await psql.query('select count(*) from walhook.resyncs where ended_at is null')
      const { rows: ended } = await psql.query('select count(*) from walhook.resyncs')
      return Number(rows[0].count) === 0 && Number(ended[0].count) > 0
    },
    /** The events of each user, as action and groups. */
    async told() {
      const { rows } = await psql.query(
        `select entity_id as id, action_type as action, body::json #>> '{result,groups}' as groups, changed
         from walhook.events e order by e.id`,
      )
      return Map.groupBy(rows, ({ id }) => Number(id))
    },
    async [Symbol.asyncDispose]() {
      await psql.end()
      await database.drop()
    },
  }
}

test('a renamed group sends each of its many members once, page by page, also one that changed meanwhile', async () => {
  await using at = await open()
  await using capture = await startCapture(at.database, mapping)
  await at.psql.query(
    `begin; update groups set name = 'all' where id = 1; update users set name = 'eve' where id = 7;
     update groups set name = 'some' where id = 2; commit`,
  )
  await capture.caughtUp()
  const atOnce = await at.told()
  expect([...atOnce.keys()].filter(id => id < 8)).toEqual(expect.arrayContaining([1, 2, 7]))
  const { rows } = await at.psql.query('select field, hop, hop_value, state from walhook.resyncs')
  expect(rows).toEqual([{ field: 'groups', hop: 1, hop_value: '1', state: expect.any(String) }])
  await until(at.isOver, { what: 'the fan-out to be done', ...patience })
  const told = await at.told()
  expect(told.size).toBe(members)
  const wrong = [...told].filter(
    ([id, events]) =>
      events.length !== 1 ||
      events[0].action !== 'update' ||
      events[0].groups !== (id < 3 ? '["all","some"]' : '["all"]'),
  )
  expect(wrong).toEqual([])
  expect(told.get(100)![0].changed).toEqual(['groups'])
  const { rows: done } = await at.psql.query('select rows_done, rows_estimate, state from walhook.resyncs')
  expect(done).toEqual([{ rows_done: String(members), rows_estimate: String(members), state: 'done' }])
})

test('after a SIGKILL and a second rename in the middle, every member ends with the new name, and none gets an older one later', async () => {
  await using at = await open()
  {
    await using capture = await startCapture(at.database, mapping)
    await capture.caughtUp()
  }
  const count = async () => Number((await at.psql.query('select count(*) from walhook.events')).rows[0].count)
  let running = startCaptureProcess(at.database, mapping)
  await running.streaming
  for (const [i, name] of ['second', 'third', 'fourth'].entries()) {
    const before = await count()
    await at.psql.query(`update groups set name = '${name}' where id = 1`)
    await at.psql.query(`update users set name = 'seen in ${name}' where id in (5, ${members - 5})`)
    await until(async () => (await count()) > before + 150 * (i + 1), {
      what: 'some to be told',
      ...patience,
    })
    if (i === 1) continue
    await running.kill()
    running = startCaptureProcess(at.database, mapping)
    await running.streaming
  }
  await until(at.isOver, { what: 'the fan-out to be done', ...patience })
  await running.kill()
  const order = ['["everybody"]', '["second"]', '["third"]', '["fourth"]'].map(json => json.slice(0, -1))
  const rank = (groups: string) => order.findIndex(each => groups.startsWith(each))
  const told = await at.told()
  const wrong = [...told].filter(([, events]) => {
    const ranks = events.map(({ groups }) => rank(groups))
    return ranks.at(-1) !== 3 || ranks.some((each, i) => i > 0 && each < ranks[i - 1]!)
  })
  expect(wrong).toEqual([])
  expect(told.size).toBe(members)
})
