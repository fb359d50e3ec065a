import type pg from 'pg'
import type { TimeId } from '../../domain/value/time-id.ts'
import { statement } from './statement.ts'

const newIdsStatement = statement(
  'new_ids',
  { count: 'int' },
  p => `select walhook.new_time_id() as id from generate_series(1, ${p.count})`,
)

export async function newTimeIds(client: pg.ClientBase, count: number): Promise<TimeId[]> {
  if (count === 0) return []
  const { rows } = await newIdsStatement(client, { count })
  return rows.map(row => row.id)
}
