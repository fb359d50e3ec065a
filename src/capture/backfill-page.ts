import { type EntityMapping, publishedTables, quoteIdentifier, tableKey } from '../domain/mapping.ts'
import type { Catalogue } from './catalogue.ts'
import { notOfTheKeysType, readRows } from './read-back.ts'
import { type PresentEntity, showRows } from './read-entity.ts'
import type { ShapedRow } from './result.ts'
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

/** What the table has of the keys that were asked for, as one snapshot of the source shows it. */
export type KeysPage = Pick<Page, 'entities' | 'snapshot'>

/** Nobody waits for a page: a table that is locked, or too slow, is tried again later. */
const limits = `set local lock_timeout = '5s'; set local statement_timeout = '60s'`

/**
 * Reads up to `limit` rows in the order of their keys, those after the key `after` up to the key `until`; the first
 * time (null) that is the last key that there is. Rows and related lists are read in one snapshot.
 */
export async function readPageOf(
  source: Source,
  catalogue: Catalogue,
  entity: EntityMapping,
  page: { after: string | null; until: string | null; limit: number },
): Promise<Page> {
  return await reading(source, catalogue, entity, async (client, snapshot) => {
    const untilKey = page.until ?? (await lastKeyOf(client, entity))
    const found =
      untilKey === null ? [] : await readKeyed(client, catalogue, entity, { ...page, until: untilKey })
    const entities = await showRows(client, catalogue, entity, new Map(found))
    const rowsEstimate = page.until === null ? await estimateOf(client, entity) : null
    const lastKey = found.at(-1)?.[0] ?? null
    return { entities, rows: found.length, lastKey, untilKey, rowsEstimate, snapshot }
  })
}

/** Reads the rows that have these keys. A key that is not of the column's type, any more, is one that no row has. */
export async function readKeysOf(
  source: Source,
  catalogue: Catalogue,
  entity: EntityMapping,
  keys: readonly string[],
): Promise<KeysPage> {
  return await reading(source, catalogue, entity, async (client, snapshot) => {
    const rows = await readFitting(client, catalogue, entity, keys)
    return { entities: await showRows(client, catalogue, entity, rows), snapshot }
  })
}

/**
 * Runs `read` in one snapshot of the source, and vouches for it: what it does not show is not there.
 *
 * - The tables are locked, as by any SELECT, before the snapshot is taken: to an older snapshot, a table that TRUNCATE or
 *   an ALTER TABLE has rewritten meanwhile looks empty. https://www.postgresql.org/docs/current/mvcc-caveats.html
 * - They are the tables of the catalogue, and no views or others that have got their names since.
 * - Row level security does not hide rows: Postgres raises an error instead (`row_security`).
 * - The server is the primary: a standby may be behind the stream.
 */
export async function reading<T>(
  source: Source,
  catalogue: Catalogue,
  entity: EntityMapping,
  read: (client: Queryable, snapshot: string) => Promise<T>,
): Promise<T> {
  const client = await source.pool.connect()
  try {
    await client.query(`begin isolation level repeatable read read only; ${limits}`)
    const tables = publishedTables([entity])
    await client.query(`lock table ${tables.map(tableKey).join(', ')} in access share mode`)
    const { rows } = await client.query(
      `select pg_current_snapshot()::text as snapshot, pg_is_in_recovery() as is_standby,
              current_setting('row_security') as row_security,
              (select json_agg(c.oid::int8 order by place)
               from unnest($1::text[]) with ordinality as wanted (name, place)
               join pg_class c on c.oid = to_regclass(wanted.name) and c.relkind in ('r', 'p')) as oids`,
      [tables.map(tableKey)],
    )
    const { snapshot, is_standby, row_security, oids } = rows[0]
    if (is_standby === 't') throw new Error('the source is a standby, which may be behind')
    if (row_security !== 'off') throw new Error(`row_security is ${row_security}: rows may be hidden`)
    const expected = tables.map(table => catalogue.tables.get(tableKey(table))?.oid)
    if (JSON.stringify(JSON.parse(oids ?? '[]')) !== JSON.stringify(expected))
      throw new Error('a table was replaced while it was to be read')
    const found = await read(client, snapshot)
    await client.query('commit')
    client.release()
    return found
  } catch (error) {
    // With the connection ends whatever it was still doing.
    client.release(true)
    throw error
  }
}

/** The rows of those keys that are of the column's type. */
export async function readFitting(
  client: Queryable,
  catalogue: Catalogue,
  entity: EntityMapping,
  keys: readonly string[],
): Promise<Map<string, ShapedRow>> {
  await client.query('savepoint keys')
  try {
    return await readRows(client, catalogue, entity, keys)
  } catch (error) {
    if (!notOfTheKeysType.has((error as { code: string }).code)) throw error
    await client.query('rollback to savepoint keys')
    if (keys.length === 1) return new Map()
    const half = Math.ceil(keys.length / 2)
    const first = await readFitting(client, catalogue, entity, keys.slice(0, half))
    return new Map([...first, ...(await readFitting(client, catalogue, entity, keys.slice(half)))])
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
