import type { FanOut } from '../../domain/capture/fan-out.ts'
import type { Part } from '../../domain/capture/resync.ts'
import { columnsOfKey, idAt, type KeyColumns, onlyColumn } from '../../domain/mapping/entity-key.ts'
import { stopsOf } from '../../domain/mapping/hops.ts'
import {
  type EntityMapping,
  quoteIdentifier,
  type RelatedList,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import { alias, joined, leadsTo } from '../related/list-query.ts'
import type { Queryable, Source } from '../source/source.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import { type Page, partsOf, reading, readKeysOf } from './backfill-page.ts'

/**
 * Reads the entities of a partition: its rows or, for a related table, their owners. Up to `limit` in key order, after the
 * key `after` up to `until` (null the first time: the present last key).
 *
 * The partition is read through its table, whose rights and policies apply; its bounds guide the planner. A detached one has
 * no rows there.
 */
export async function readPartPageOf(
  source: Source,
  catalogue: Catalogue,
  entity: EntityMapping,
  part: Part,
  at: At,
): Promise<Page> {
  const keysOf = async (client: Queryable) => {
    const bounds = await boundsOf(client, part)
    return bounds === null ? null : keysStatement(catalogue, entity, part, bounds)
  }
  return await readPageOfKeys(source, catalogue, entity, keysOf, at)
}

/** The same for the entities that show a changed row; none if the mapping no longer has the field. */
export async function readFanOutPageOf(
  source: Source,
  catalogue: Catalogue,
  entity: EntityMapping,
  fanOut: FanOut,
  at: At,
): Promise<Page> {
  const keysOf = async () => fanOutKeys(catalogue, entity, fanOut)
  return await readPageOfKeys(source, catalogue, entity, keysOf, at)
}

type At = { readonly after: string | null; readonly until: string | null; readonly limit: number }
/**
 * A statement that returns distinct entity keys, a column per key column (`key_0`, `key_1`). Its first parameter may be a
 * value.
 */
type Keys = {
  readonly text: string
  readonly types: readonly string[]
  readonly value?: string
  /** Whether people see the count. */
  readonly isCounted?: boolean
}

async function readPageOfKeys(
  source: Source,
  catalogue: Catalogue,
  entity: EntityMapping,
  keysOf: (client: Queryable) => Promise<Keys | null>,
  at: At,
): Promise<Page> {
  const { keys: found, ...page } = await reading(source, catalogue, entity, async (client, snapshot) => {
    const none = { keys: [] as string[], untilKey: at.until, rowsEstimate: null, snapshot }
    const keys = await keysOf(client)
    if (!keys) return none
    const untilKey = at.until ?? (await lastKey(client, keys))
    if (untilKey === null) return none
    const rowsEstimate = at.until === null && keys.isCounted ? await keyCount(client, keys) : null
    const ids = [untilKey, ...(at.after === null ? [] : [at.after])]
    const values = [...valuesOf(keys), ...ids.flatMap(id => partsOf(id, entity))]
    /** The nth id as a row. */
    const row = (n: number) => {
      const before = valuesOf(keys).length + n * keys.types.length
      return `(${keys.types.map((type, i) => `$${before + i + 1}::text::${type}`).join(', ')})`
    }
    const names = keys.types.map((_, i) => `key_${i}`).join(', ')
    const { rows } = await client.query({
      text: `select * from (${keys.text}) k
             where (${names}) <= ${row(0)} ${at.after === null ? '' : `and (${names}) > ${row(1)}`}
             order by ${names} limit $${values.length + 1}`,
      values: [...values, at.limit],
      rowMode: 'array',
    })
    const found = rows.map(row => idAt(row, [...keys.types.keys()])!)
    return { ...none, keys: found, untilKey, rowsEstimate }
  })
  const rows = found.length
  const { entities, unreadable } = rows === 0 ? nobody : await readKeysOf(source, catalogue, entity, found)
  return { ...page, entities, unreadable, rows, lastKey: found.at(-1) ?? null, isLast: rows < at.limit }
}

const nobody = { entities: [], unreadable: [] }

/** The SQL condition of a partition's rows; null: it no longer belongs to its table. */
export async function boundsOf(
  client: Queryable,
  { tableName, oid }: Pick<Part, 'tableName' | 'oid'>,
): Promise<string | null> {
  const { rows } = await client.query(
    `select pg_get_partition_constraintdef(c.oid) as bounds from pg_class c
     where c.oid = $1 and exists (select from pg_partition_ancestors(c.oid) a where a.relid = to_regclass($2))`,
    [oid, tableName],
  )
  return rows[0] ? `(${rows[0].bounds ?? 'true'}) and tableoid = ${Number(oid)}` : null
}

/** The distinct entity keys of a partition; null: its table is not mapped. */
function keysStatement(
  catalogue: Catalogue,
  entity: EntityMapping,
  { tableName }: Part,
  bounds: string,
): Keys | null {
  const isOwn = tableKey(entity.table) === tableName
  if (isOwn) return keysOf(catalogue, tableName, entity.key, bounds)
  const texts = entity.related.flatMap(list =>
    stopsOf(list).flatMap((stop, at) => {
      if (tableKey(stop.table) !== tableName) return []
      if (at > 0) {
        const led = `select ${quoteIdentifier(onlyColumn(stop.owner))} as value from ${tableName} where ${bounds}`
        return (
          indirectKeys(
            catalogue,
            { list, at },
            () => `exists (select from (${led}) led where ${leadsTo(catalogue, list, at, 'led.value')})`,
          ) ?? []
        )
      }
      return keysOf(catalogue, tableName, stop.owner, bounds) ?? []
    }),
  )
  if (texts.length === 0) return null
  const unique = [...new Set(texts.map(({ text }) => text))]
  return { text: unique.join(' union '), types: texts[0]!.types }
}

function keysOf(catalogue: Catalogue, tableName: string, key: KeyColumns, where: string): Keys | null {
  const types = typesOf(catalogue, tableName, key)
  const { selected, isThere } = selectKey(key, quoteIdentifier)
  return (
    types && { text: `select distinct ${selected} from ${tableName} where ${isThere} and ${where}`, types }
  )
}

function typesOf({ tables }: Catalogue, tableName: string, key: KeyColumns): string[] | null {
  const known = tables.get(tableName)?.columns ?? []
  const types = columnsOfKey(key).flatMap(column => known.find(({ name }) => name === column)?.typeName ?? [])
  return types.length === columnsOfKey(key).length ? types : null
}

function selectKey(key: KeyColumns, sqlOf: (column: string) => string) {
  const columns = columnsOfKey(key).map(sqlOf)
  return {
    selected: columns.map((column, i) => `${column} as key_${i}`).join(', '),
    isThere: columns.map(column => `${column} is not null`).join(' and '),
  }
}

/** The entities whose related field leads to rows of its table `at`, by a condition on the link. */
function indirectKeys(
  catalogue: Catalogue,
  { list, at }: { readonly list: RelatedList; readonly at: number },
  condition: (to: string) => string,
): Keys | null {
  const [first, ...others] = stopsOf(list)
  const before = [first!, ...others][at - 1]
  const types = typesOf(catalogue, tableKey(first!.table), first!.owner)
  if (!types || before?.to == null) return null
  const { selected, isThere } = selectKey(first!.owner, column => `${alias(0)}.${quoteIdentifier(column)}`)
  const to = `${alias(at - 1)}.${quoteIdentifier(before.to)}`
  return {
    text: `select distinct ${selected} from ${joined(catalogue, list, at - 1)} where ${isThere} and ${condition(to)}`,
    types,
  }
}

function fanOutKeys(catalogue: Catalogue, entity: EntityMapping, { field, at, value }: FanOut): Keys | null {
  const list = entity.related.find(each => each.field === field)
  if (!list) return null
  if (value === null) {
    const keys = indirectKeys(catalogue, { list, at }, to => `${to} is not null`)
    return keys && { ...keys, isCounted: true }
  }
  const stop = stopsOf(list)[at]
  const [type] = (stop && typesOf(catalogue, tableKey(stop.table), onlyColumn(stop.owner))) ?? []
  const keys =
    type === undefined
      ? null
      : indirectKeys(catalogue, { list, at }, () => leadsTo(catalogue, list, at, `$1::text::${type}`))
  return keys && { ...keys, value, isCounted: true }
}

const valuesOf = ({ value }: Keys) => (value === undefined ? [] : [value])

/** The last key; null: none. */
async function lastKey(client: Queryable, keys: Keys): Promise<string | null> {
  const order = keys.types.map((_, i) => `key_${i} desc`).join(', ')
  const { rows } = await client.query({
    text: `select * from (${keys.text}) k order by ${order} limit 1`,
    values: valuesOf(keys),
    rowMode: 'array',
  })
  return idAt(rows[0], [...keys.types.keys()])
}

async function keyCount(client: Queryable, keys: Keys): Promise<number> {
  const { rows } = await client.query(`select count(*) as count from (${keys.text}) k`, valuesOf(keys))
  return Number(rows[0].count)
}
