import type { Client } from 'pg'
import type { Gap, Parked, Told } from './oracle.ts'
import { type Names, underUsualKey } from './tables.ts'
import type { Row } from './witness.ts'

const lsn = (text: string) => {
  const [high, low] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`)
}

/** The events above an id, in their order. */
export async function readTold(client: Client, afterId: string): Promise<Told[]> {
  const { rows } = await client.query(
    `select id, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, body, omitted
     from walhook.events where id > $1 order by id`,
    [afterId],
  )
  return rows.map(row => ({
    id: row.id,
    commitLsn: lsn(row.commit_lsn),
    index: row.index_in_transaction,
    entity: `${row.entity_type} ${row.entity_id}`,
    action: row.action_type,
    result: underUsualKey(JSON.parse(row.body).result ?? null),
    omitted: row.omitted ?? [],
  }))
}

/** Every gap: of one type of entity where it names one, else of all. */
export async function readGaps(client: Client): Promise<(Gap & { isOpen: boolean; reason: string })[]> {
  const { rows } = await client.query('select * from walhook.gaps order by id')
  return rows.map(row => ({
    from: lsn(row.from_lsn),
    to: row.to_lsn === null ? null : lsn(row.to_lsn),
    entityType: entityOf(row),
    isOpen: row.resynced_at === null,
    reason: row.reason,
  }))
}

/** Of a gap that names a table, the type of entity that the table is of. */
function entityOf(row: Record<string, string | null>): string | null {
  if (row.entity_type) return row.entity_type
  const table = row.table_name ?? row.table_key ?? row.relation ?? null
  if (!table) return null
  return /compan(y|ies)(_old)?"?$/.test(table) && !/user_/.test(table) ? 'company' : 'user'
}

export async function readParked(client: Client): Promise<Parked[]> {
  const { rows } = await client.query(
    'select commit_lsn, entity_type, entity_id from walhook.parked_changes order by parked_at',
  )
  return rows.map(row => ({
    commitLsn: lsn(row.commit_lsn),
    entity: row.entity_id === null ? null : `${row.entity_type} ${row.entity_id}`,
  }))
}

/** Every entity as its table has it now, with its lists. */
export async function readPresent(client: Client, names: Names): Promise<Map<string, Row>> {
  const { users, companies, orders, user_companies: members } = names
  const { rows } = await client.query(`
    select 'user ' || ${users.key} as entity, to_jsonb(u) || jsonb_build_object('companies', coalesce((
        select jsonb_agg(company_id order by company_id) from ${members.table} m where m.user_id = u.${users.key}
      ), '[]')) as row
    from ${users.table} u
    union all select 'order ' || ${orders.key}, to_jsonb(o) from ${orders.table} o
    union all select 'company ' || ${companies.key}, to_jsonb(c) from ${companies.table} c`)
  return new Map(rows.map(({ entity, row }) => [entity, underUsualKey(row)]))
}
