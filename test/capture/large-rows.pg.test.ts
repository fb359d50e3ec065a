import { expect, test, vi } from 'vitest'
import { defaultMapping, type EntityMapping } from '../../src/domain/mapping/mapping.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'

/** The most that any reading has brought, in bytes. */
const max = vi.hoisted(() => ({ bytes: 0, readings: 0 }))

vi.mock('../../src/capture/stream/read-up-to.ts', async original => {
  const real = await original<typeof import('../../src/capture/stream/read-up-to.ts')>()
  const readUpTo: typeof real.readUpTo = async (...given) => {
    const read = await real.readUpTo(...given)
    const bytes = read.rows.flat().reduce((sum, value) => sum + (value?.length ?? 0), 0)
    max.bytes = Math.max(max.bytes, bytes)
    max.readings++
    return read
  }
  return { ...real, readUpTo }
})

const bound = 16 * 1_048_576
const rowBytes = 1_000_000
const notes = {
  field: 'notes',
  table: { schema: 'public', name: 'notes' },
  owner: 'user_id',
  columns: ['note'],
  plain: true,
}
const mapping: readonly EntityMapping[] = [{ ...defaultMapping[0]!, related: [notes] }]

/** Values that compress well, so that nothing but what Postgres says of them tells how large they are. */
async function open() {
  max.bytes = 0
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(`create table users (id integer primary key, n integer, long text, doc jsonb);
    create table notes (id integer primary key, user_id integer, note text);
    alter table notes replica identity full`)
  const capture = await startCapture(database, mapping)
  return {
    psql,
    capture,
    /** By transaction: the entities told, and how many bytes each of them has. */
    async told(action: string) {
      const { rows } = await psql.query(
        `select array_agg(entity_id::int order by id) as ids, min(length(body)) as least
         from walhook.events where action_type = $1 group by commit_lsn order by commit_lsn`,
        [action],
      )
      return rows as { ids: number[]; least: number }[]
    },
    async [Symbol.asyncDispose]() {
      await capture[Symbol.asyncDispose]()
      await psql.end()
      await database.drop()
    },
  }
}

test.each([
  ['a text that an UPDATE leaves alone', `repeat('x', ${rowBytes})`, 'null'],
  [
    'a JSON document that an UPDATE leaves alone',
    'null',
    `jsonb_build_object('a', repeat('x', ${rowBytes}))`,
  ],
])('%s, of many rows in one or many transactions, is read in portions', async (_what, long, doc) => {
  await using at = await open()
  await at.psql.query(`insert into users select i, 0, ${long}, ${doc} from generate_series(1, 40) i`)
  await at.psql.query('update users set n = 1')
  for (let id = 1; id <= 40; id++) await at.psql.query('update users set n = 2 where id = $1', [id])
  await at.capture.caughtUp()
  expect(max.bytes).toBeLessThanOrEqual(bound + rowBytes)
  const [whole, ...single] = await at.told('update')
  expect(whole!.ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1))
  expect(single.map(({ ids }) => ids)).toEqual(Array.from({ length: 40 }, (_, i) => [i + 1]))
  expect(Math.min(whole!.least, ...single.map(({ least }) => least))).toBeGreaterThan(rowBytes)
})

test('related lists of many owners are read in portions', async () => {
  await using at = await open()
  await at.psql.query('insert into users select i from generate_series(1, 40) i')
  await at.psql.query(`insert into notes select i, i, repeat('x', ${rowBytes}) from generate_series(1, 40) i`)
  await at.psql.query('update users set n = 1')
  await at.capture.caughtUp()
  expect(max.bytes).toBeLessThanOrEqual(bound + rowBytes)
  const last = (await at.told('update')).at(-1)!
  expect(last.ids).toHaveLength(40)
  expect(last.least).toBeGreaterThan(rowBytes)
})
