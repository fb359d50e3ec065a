import { Unfit } from '../../domain/capture/page-failures.ts'
import { columnsOfKey, idAt, type KeyColumns, keyName, splitKey } from '../../domain/mapping/entity-key.ts'
import {
  type EntityMapping,
  publishedTables,
  quoteIdentifier,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import { readRows } from '../map/read-back.ts'
import type { ShapedRow } from '../map/result.ts'
import { isOfData, notOfTheKeysType } from '../related/read-existing.ts'
import type { Queryable, Source } from '../source/source.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import { readAlone, type ShownRows, showRows } from './read-entity.ts'

/** A page of an entity's rows. */
export type Page = ShownRows & {
  /** How many rows were read: two may have the same key. */
  readonly rows: number
  readonly lastKey: string | null
  readonly untilKey: string | null
  /** Whether the page was not full. */
  readonly isLast: boolean
  readonly rowsEstimate: number | null
  /** The snapshot of the reading, as `pg_current_snapshot()` writes it; the first of several. */
  readonly snapshot: string
}

/** The rows of the requested keys. */
export type KeysPage = Pick<Page, 'entities' | 'unreadable' | 'snapshot'>

/** Nobody waits for a page: a locked or slow table is tried again later. */
const limits = `set local lock_timeout = '5s'; set local statement_timeout = '60s'`

/** A larger page of several rows is read again in halves: one statement stores it. */
const maxPageBytes = 64 * 1024 * 1024

type Wanted = { readonly after: string | null; readonly until: string | null; readonly limit: number }

/**
 * Reads up to `limit` rows in key order, after the key `after` up to the key `until` (null the first time: the present last
 * key), with their related lists, in one snapshot. If the data makes this fail, half as many are read, down to one unreadable
 * row, which is in `unreadable`.
 */
export async function readPageOf(
  source: Source,
  catalogue: Catalogue,
  entity: EntityMapping,
  wanted: Wanted,
): Promise<Page> {
  try {
    const page = await readRowsOf(source, catalogue, entity, wanted)
    if (page.rows <= 1 || bytesOf(page.entities) <= maxPageBytes) return page
    return await readPageOf(source, catalogue, entity, { ...wanted, limit: Math.ceil(page.rows / 2) })
  } catch (error) {
    if (!isOfData(error)) throw error
    return await readFewer(source, catalogue, entity, { wanted, error })
  }
}

/** The approximate size of the entities' values in bytes. */
export function bytesOf(entities: readonly { resultJson: string }[]): number {
  return entities.reduce((sum, { resultJson }) => sum + resultJson.length, 0)
}

async function readRowsOf(
  source: Source,
  catalogue: Catalogue,
  entity: EntityMapping,
  { after, until, limit }: Wanted,
): Promise<Page> {
  return await reading(source, catalogue, entity, async (client, snapshot) => {
    const untilKey = until ?? (await lastKeyOf(client, entity))
    const found =
      untilKey === null ? [] : await readKeyed(client, catalogue, entity, { after, until: untilKey, limit })
    const shown = await showRows(client, catalogue, entity, new Map(found))
    const rowsEstimate = until === null ? await estimateOf(client, entity) : null
    const lastKey = found.at(-1)?.[0] ?? null
    const rows = found.length
    return { ...shown, rows, lastKey, untilKey, isLast: rows < limit, rowsEstimate, snapshot }
  })
}

/** After reading failed with `error`: half the rows, or of a single row as much as is readable. */
async function readFewer(
  source: Source,
  catalogue: Catalogue,
  entity: EntityMapping,
  { wanted, error }: { wanted: Wanted; error: unknown },
): Promise<Page> {
  const { keys, ...page } = await reading(source, catalogue, entity, async (client, snapshot) => {
    const untilKey = wanted.until ?? (await lastKeyOf(client, entity))
    const at = { ...wanted, until: untilKey ?? '', shown: keySql(entity.key) }
    const keys = untilKey === null ? [] : await readKeyed(client, catalogue, entity, at)
    const rowsEstimate = wanted.until === null ? await estimateOf(client, entity) : null
    return { keys: keys.map(([key]) => key), untilKey, rowsEstimate, snapshot }
  })
  const [lastKey] = keys
  // Gone by now: the next attempt finds the rows after them.
  if (lastKey === undefined) throw error
  if (keys.length > 1)
    return await readPageOf(source, catalogue, entity, { ...wanted, limit: Math.ceil(keys.length / 2) })
  const shown = await readAlone(source, catalogue, entity, lastKey)
  if (!shown) throw error
  return { ...page, ...shown, rows: 1, lastKey, isLast: false }
}

/** Reads the rows with these keys. A key that is not of the column's type has no row. */
export async function readKeysOf(
  source: Source,
  catalogue: Catalogue,
  entity: EntityMapping,
  keys: readonly string[],
): Promise<KeysPage> {
  try {
    return await reading(source, catalogue, entity, async (client, snapshot) => {
      const rows = await readFitting(client, catalogue, entity, keys)
      return { ...(await showRows(client, catalogue, entity, rows)), snapshot }
    })
  } catch (error) {
    if (!isOfData(error)) throw error
    const [only] = keys
    if (keys.length === 1) {
      const snapshot = await reading(source, catalogue, entity, async (_client, snapshot) => snapshot)
      const shown = await readAlone(source, catalogue, entity, only!)
      if (!shown) throw error
      return { ...shown, snapshot }
    }
    const middle = Math.ceil(keys.length / 2)
    const first = await readKeysOf(source, catalogue, entity, keys.slice(0, middle))
    const second = await readKeysOf(source, catalogue, entity, keys.slice(middle))
    return {
      entities: [...first.entities, ...second.entities],
      unreadable: [...first.unreadable, ...second.unreadable],
      snapshot: first.snapshot,
    }
  }
}

/**
 * Runs `read` in one snapshot of the source, and guarantees that a missing row does not exist.
 *
 * - The tables are locked, as by any SELECT, before the snapshot: an older snapshot sees a truncated or rewritten table as
 *   empty.
 * https://www.postgresql.org/docs/current/mvcc-caveats.html
 * - They are the tables of the catalogue, no views or others under the same names.
 * - Row level security hides no rows: Postgres raises an error instead (`row_security`).
 * - The server is the primary: a standby may lag behind the stream.
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
              (select json_agg(c.oid::int8 order by ordinal)
               from unnest($1::text[]) with ordinality as wanted (name, ordinal)
               join pg_class c on c.oid = to_regclass(wanted.name) and c.relkind in ('r', 'p')) as oids`,
      [tables.map(tableKey)],
    )
    const { snapshot, is_standby, row_security, oids } = rows[0]
    if (is_standby === 't') throw new Unfit('the source is a standby, which may be behind')
    if (row_security !== 'off') throw new Unfit(`row_security is ${row_security}: rows may be hidden`)
    const expected = tables.map(table => catalogue.tables.get(tableKey(table))?.oid)
    if (JSON.stringify(JSON.parse(oids ?? '[]')) !== JSON.stringify(expected))
      throw new Unfit('a table was replaced while it was to be read')
    const found = await read(client, snapshot)
    await client.query('commit')
    client.release()
    return found
  } catch (error) {
    // Closing the connection also ends its running statement.
    client.release(true)
    throw error
  }
}

/** The rows of those keys that are of the column's type. */
async function readFitting(
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
  const columns = columnsOfKey(entity.key).map(quoteIdentifier)
  const { rows } = await db.query({
    text: `select ${columns.join(', ')} from ${tableKey(entity.table)}
           where ${columns.map(column => `${column} is not null`).join(' and ')}
           order by ${columns.map(column => `${column} desc`).join(', ')} limit 1`,
    rowMode: 'array',
  })
  return idAt(rows[0], [...columns.keys()])
}

async function readKeyed(
  db: Queryable,
  catalogue: Catalogue,
  entity: EntityMapping,
  { after, until, limit, shown = '*' }: Wanted & { until: string; shown?: string },
) {
  const names = columnsOfKey(entity.key)
  const known = catalogue.tables.get(tableKey(entity.table))?.columns
  const types = names.map(column => {
    const type = known?.find(({ name }) => name === column)?.typeName
    if (!type) throw new Error(`${tableKey(entity.table)} has no column ${column}`)
    return type
  })
  const key = keySql(entity.key)
  const values = [until, ...(after === null ? [] : [after])].flatMap(id => partsOf(id, entity))
  /** The nth id as a row: Postgres compares rows from left to right, like an index of these columns. */
  const at = (n: number) =>
    `(${types.map((type, i) => `$${n * names.length + i + 1}::text::${type}`).join(', ')})`
  const { rows, fields } = await db.query({
    text: `select ${shown} from ${tableKey(entity.table)}
           where (${key}) <= ${at(0)} ${after === null ? '' : `and (${key}) > ${at(1)}`}
           order by ${key} limit $${values.length + 1}`,
    values: [...values, limit],
    rowMode: 'array',
  })
  const shape = fields.map(field => ({ name: field.name, typeOid: field.dataTypeID }))
  const indexes = names.map(column => shape.findIndex(({ name }) => name === column))
  return rows.map((values: (string | null)[]) => [idAt(values, indexes)!, { shape, values }] as const)
}

const keySql = (key: KeyColumns) => columnsOfKey(key).map(quoteIdentifier).join(', ')

export function partsOf(id: string, { entityType, key }: EntityMapping): readonly string[] {
  const parts = splitKey(id, columnsOfKey(key).length)
  if (!parts)
    throw new Error(
      `${JSON.stringify(id)} is no key (${keyName(key)}) of ${entityType}: the mapping has changed`,
    )
  return parts
}

/** The row count of the table and its partitions by Postgres' statistics; null: none. */
export async function estimateOf(db: Queryable, entity: EntityMapping): Promise<number | null> {
  const { rows } = await db.query(
    `select sum(reltuples)::bigint as rows, min(reltuples) >= 0 as is_known from pg_class
     where relkind = 'r' and oid in (select $1::regclass union all select relid from pg_partition_tree($1::regclass))`,
    [tableKey(entity.table)],
  )
  return rows[0].is_known === 't' ? Number(rows[0].rows) : null
}
