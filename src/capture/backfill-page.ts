import { type EntityMapping, publishedTables, quoteIdentifier, tableKey } from '../domain/mapping.ts'
import type { Catalogue } from './catalogue.ts'
import { type PresentEntity, showRows } from './read-entity.ts'
import type { Queryable, Source } from './source.ts'

/** A page of an entity's rows, all as one snapshot of the source shows them. */
export type Page = {
  readonly entities: readonly PresentEntity[]
  /** How many rows were read: two may have the same key. */
  readonly rows: number
  readonly lastKey: string | null
  readonly untilKey: string | null
  readonly rowsEstimate: number | null
  /** What the reading saw, as `pg_current_snapshot()` writes it. */
  readonly snapshot: string
}

/** Nobody waits for a page: a table that is locked, or too slow, is tried again later. */
const limits = `set local lock_timeout = '5s'; set local statement_timeout = '60s'`

/**
 * Reads up to `limit` rows in the order of their keys, those after the key `after` up to the key `until`; the first
 * time (null) that is the last key that there is. Rows and related lists are read in one snapshot.
 *
 * The tables are locked, as by any SELECT, before the snapshot is taken: to an older snapshot, a table that TRUNCATE or
 * an ALTER TABLE has rewritten meanwhile looks empty.
 * https://www.postgresql.org/docs/current/mvcc-caveats.html
 */
export async function readPageOf(
  source: Source,
  catalogue: Catalogue,
  entity: EntityMapping,
  page: { after: string | null; until: string | null; limit: number },
): Promise<Page> {
  const client = await source.pool.connect()
  try {
    await client.query(`begin isolation level repeatable read read only; ${limits}`)
    const tables = publishedTables([entity]).map(tableKey)
    await client.query(`lock table ${tables.join(', ')} in access share mode`)
    const { rows } = await client.query('select pg_current_snapshot()::text as snapshot')
    const untilKey = page.until ?? (await lastKeyOf(client, entity))
    const found =
      untilKey === null ? [] : await readKeyed(client, catalogue, entity, { ...page, until: untilKey })
    const entities = await showRows(client, catalogue, entity, new Map(found))
    const rowsEstimate = page.until === null ? await estimateOf(client, entity) : null
    await client.query('commit')
    client.release()
    const lastKey = found.at(-1)?.[0] ?? null
    return { entities, rows: found.length, lastKey, untilKey, rowsEstimate, snapshot: rows[0].snapshot }
  } catch (error) {
    // With the connection ends whatever it was still doing.
    client.release(true)
    throw error
  }
}

async function lastKeyOf(db: Queryable, entity: EntityMapping): Promise<string | null> {
  const key = quoteIdentifier(entity.key)
  const { rows } = await db.query(
    `select ${key} as key from ${tableKey(entity.table)} where ${key} is not null order by ${key} desc limit 1`,
  )
  return rows[0]?.key ?? null
}

async function readKeyed(
  db: Queryable,
  catalogue: Catalogue,
  entity: EntityMapping,
  { after, until, limit }: { after: string | null; until: string; limit: number },
) {
  const key = quoteIdentifier(entity.key)
  const columns = catalogue.tables.get(tableKey(entity.table))?.columns
  const type = columns?.find(({ name }) => name === entity.key)?.typeName
  if (!type) throw new Error(`${tableKey(entity.table)} has no column ${entity.key}`)
  const { rows, fields } = await db.query({
    text: `select * from ${tableKey(entity.table)}
           where ${key} <= $1::text::${type} ${after === null ? '' : `and ${key} > $3::text::${type}`}
           order by ${key} limit $2`,
    values: [until, limit, ...(after === null ? [] : [after])],
    rowMode: 'array',
  })
  const shape = fields.map(field => ({ name: field.name, typeOid: field.dataTypeID }))
  const keyIndex = shape.findIndex(({ name }) => name === entity.key)
  return rows.map((values: (string | null)[]) => [values[keyIndex]!, { shape, values }] as const)
}

/** How many rows the table and its partitions have by Postgres's statistics; null where there are none. */
async function estimateOf(db: Queryable, entity: EntityMapping): Promise<number | null> {
  const { rows } = await db.query(
    `select sum(reltuples)::bigint as rows, min(reltuples) >= 0 as is_known from pg_class
     where relkind = 'r' and oid in (select $1::regclass union all select relid from pg_partition_tree($1::regclass))`,
    [tableKey(entity.table)],
  )
  return rows[0].is_known === 't' ? Number(rows[0].rows) : null
}
