import { expect, test } from 'vitest'
import { arrayLiteral, type BinaryArray, column, openArray } from '../../src/outbox/database/binary-array.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'

const texts = ['', 'a', '"q" {x,y} \\ NULL', 'Zoë 🎟', 'x'.repeat(100_000), 'line\nbreak\ttab']
const bigints = [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n)]

test('Postgres reads the binary arrays correctly', async () => {
  await using database = await createTestDatabase()
  await using psql = await connect(database.url)
  const read = async <T>(type: string, array: BinaryArray<T>, items: readonly T[]) => {
    for (const item of items) array.add(item)
    const { rows } = await psql.query(
      `select e::text as e from unnest($1::${type}[]) with ordinality u (e, i) order by i`,
      [array.value()],
    )
    array.clear()
    return rows.map(row => row.e)
  }
  await psql.query(`set timezone = 'UTC'`)
  expect(await read('text', openArray('text'), texts)).toEqual(texts)
  expect(await read('text', openArray('text'), [null, 'a', null, ''])).toEqual([null, 'a', null, ''])
  const literal = await psql.query('select $1::text[] as texts', [arrayLiteral(texts)])
  expect(literal.rows[0].texts).toEqual(texts)
  expect(await read('int8', openArray('bigint'), bigints)).toEqual(bigints.map(String))
  expect(await read('int4', openArray('int'), [0, -1, 2 ** 31 - 1, -(2 ** 31)])).toEqual([
    '0',
    '-1',
    '2147483647',
    '-2147483648',
  ])
  expect(await read('pg_lsn', openArray('pg_lsn'), [0n, 0x16_b374_d848n, 2n ** 64n - 1n])).toEqual([
    '0/0',
    '16/B374D848',
    'FFFFFFFF/FFFFFFFF',
  ])
  const times = ['1970-01-01T00:00:00.001Z', '1999-12-31T23:59:59.999Z', '2026-11-24T05:00:00.123Z']
  expect(
    await read(
      'timestamptz',
      openArray('timestamptz'),
      times.map(time => new Date(time)),
    ),
  ).toEqual(times.map(time => time.replace('T', ' ').replace('Z', '+00')))
  expect(await read('bool', openArray('boolean'), [true, null, false])).toEqual(['true', null, 'false'])
  expect(await read('int2', openArray('smallint'), [0, -1, 32_767, null])).toEqual(['0', '-1', '32767', null])
  expect(await read('float8', openArray('float8'), [0.1, null, -1e300])).toEqual(['0.1', null, '-1e+300'])
  expect(column('int', ['a', 'bc'], text => text.length)!.readInt32BE(12)).toBe(2)
  expect(column('int', ['a', 'bc'], text => (text === 'a' ? null : 1))!.readInt32BE(12)).toBe(2)
  expect(column('int', ['a', 'bc'], () => null)).toBeNull()
  expect(openArray('text').value().readInt32BE(12)).toBe(0)
  expect(await read('text', openArray('text'), [])).toEqual([])
})

test('a cleared array has no earlier values', async () => {
  await using database = await createTestDatabase()
  await using psql = await connect(database.url)
  const array = openArray('text')
  for (const items of [texts, [null, 'x'.repeat(10_000_000)], ['b'], []]) {
    array.clear()
    for (const item of items) array.add(item)
    const { rows } = await psql.query('select $1::text[] as items', [array.value()])
    expect(rows[0].items).toEqual(items)
  }
})
