import type pg from 'pg'
import type { TimeId } from '../../domain/value/time-id.ts'
import { statement } from './statement.ts'

/** The tables with ids of a sequence that statements of delivery insert selections into. */
type Table = 'audit' | 'incidents' | 'alert_mails' | 'skips' | 'replays'

/**
 * `count` new ids of a table, for `insert … select`: for a table on another node, the default would be computed there, but the
 * sequence is here.
 */
export async function newIds(
  db: Pick<pg.ClientBase | pg.Pool, 'query'>,
  table: Table,
  count: number,
): Promise<bigint[]> {
  const { rows } = await db.query(
    `select nextval('walhook.${table}_id_seq') as id from generate_series(1, $1::int)`,
    [count],
  )
  return rows.map(row => row.id)
}

export async function newId(db: Pick<pg.ClientBase | pg.Pool, 'query'>, table: Table): Promise<bigint> {
  return (await newIds(db, table, 1))[0]!
}

const newTimeIdsStatement = statement(
  'new_ids',
  { count: 'int' },
  p => `select walhook.new_time_id() as id from generate_series(1, ${p.count})`,
)

/** `count` new ids, in ascending order. */
export async function newTimeIds(client: pg.ClientBase, count: number): Promise<TimeId[]> {
  if (count === 0) return []
  const { rows } = await newTimeIdsStatement(client, { count })
  return rows.map(row => row.id)
}
