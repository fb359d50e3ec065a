import type { FanOut } from '../../domain/capture/fan-out.ts'
import type { Part } from '../../domain/capture/resync.ts'
import { stopsOf } from '../../domain/mapping/hops.ts'
import {
  type EntityMapping,
  quoteIdentifier,
  type RelatedList,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import { alias, joined } from '../related/list-query.ts'
import type { Catalogue } from '../source/catalogue.ts'
import type { Queryable, Source } from '../source/source.ts'
import { type Page, reading, readKeysOf } from './backfill-page.ts'

/**
 * Reads the entities of which a partition tells something: its rows, or, of a related table, the owners that its rows name. Up to
 * `limit`, in the order of their keys, those after the key `after` up to `until`; the first time (null) that is the last one
 * that there is.
 *
 * The partition is read through its table: who may read that need not have a right to it, and policies of its own do not
 * apply. Its bounds lead the planner to it. One that has left the table has no rows in it.
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

/** The same of the entities that show a changed row; none where the mapping has no such field any more. */
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
/** A statement that gives keys of entities, each once as `key`. It may have a value of its own, as its first one. */
type Keys = {
  readonly text: string
  readonly type: string
  readonly value?: string
  /** Whether a person is told how many there are. */
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
    const values = keys.value === undefined ? [] : [keys.value]
    const place = (i: number) => `$${values.length + i}`
    const { rows } = await client.query(
      `select key::text from (${keys.text}) k
       where key <= ${place(1)}::text::${keys.type} ${at.after === null ? '' : `and key > ${place(3)}::text::${keys.type}`}
       order by k.key limit ${place(2)}`,
      [...values, untilKey, at.limit, ...(at.after === null ? [] : [at.after])],
    )
    return { ...none, keys: rows.map((row): string => row.key), untilKey, rowsEstimate }
  })
  const rows = found.length
  const { entities, untold } = rows === 0 ? nobody : await readKeysOf(source, catalogue, entity, found)
  return { ...page, entities, untold, rows, lastKey: found.at(-1) ?? null, isLast: rows < at.limit }
}

const nobody = { entities: [], untold: [] }

/** The condition that the rows of a partition fulfil, in SQL; null where it is no partition of its table any more. */
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

/** The keys of the entities of which the partition tells something, each once; null where the mapping does not have its table. */
function keysStatement(
  catalogue: Catalogue,
  entity: EntityMapping,
  { tableName }: Part,
  bounds: string,
): Keys | null {
  const isOwn = tableKey(entity.table) === tableName
  if (isOwn)
    return keysOf(
      catalogue,
      tableName,
      entity.key,
      `${quoteIdentifier(entity.key)} is not null and ${bounds}`,
    )
  const texts = entity.related.flatMap(list =>
    stopsOf(list).flatMap((stop, at) => {
      if (tableKey(stop.table) !== tableName) return []
      const owner = quoteIdentifier(stop.owner)
      if (at > 0) {
        const led = `select ${owner} from ${tableName} where ${bounds}`
        return keysBehind(catalogue, { list, at }, to => `${to} in (${led})`) ?? []
      }
      return keysOf(catalogue, tableName, stop.owner, `${owner} is not null and ${bounds}`) ?? []
    }),
  )
  if (texts.length === 0) return null
  const unique = [...new Set(texts.map(({ text }) => text))]
  return { text: unique.join(' union '), type: texts[0]!.type }
}

function keysOf({ tables }: Catalogue, tableName: string, column: string, where: string): Keys | null {
  const found = tables.get(tableName)?.columns.find(({ name }) => name === column)
  const name = quoteIdentifier(column)
  return found
    ? { text: `select distinct ${name} as key from ${tableName} where ${where}`, type: found.typeName }
    : null
}

/** The entities that a related field leads from to rows of its table `at`, by a condition of what leads there. */
function keysBehind(
  { tables }: Catalogue,
  { list, at }: { readonly list: RelatedList; readonly at: number },
  condition: (to: string) => string,
): Keys | null {
  const [first, ...others] = stopsOf(list)
  const before = [first!, ...others][at - 1]
  const found = tables.get(tableKey(first!.table))?.columns.find(({ name }) => name === first!.owner)
  if (!found || before?.to == null) return null
  const key = `${alias(0)}.${quoteIdentifier(first!.owner)}`
  const to = `${alias(at - 1)}.${quoteIdentifier(before.to)}`
  return {
    text: `select distinct ${key} as key from ${joined(list, at - 1)} where ${key} is not null and ${condition(to)}`,
    type: found.typeName,
  }
}

function fanOutKeys(catalogue: Catalogue, entity: EntityMapping, { field, at, value }: FanOut): Keys | null {
  const list = entity.related.find(each => each.field === field)
  if (!list) return null
  if (value === null) {
    const keys = keysBehind(catalogue, { list, at }, to => `${to} is not null`)
    return keys && { ...keys, isCounted: true }
  }
  const stop = stopsOf(list)[at]
  const type = catalogue.tables
    .get(stop ? tableKey(stop.table) : '')
    ?.columns.find(({ name }) => name === stop?.owner)?.typeName
  const keys =
    type === undefined ? null : keysBehind(catalogue, { list, at }, to => `${to} = $1::text::${type}`)
  return keys && { ...keys, value, isCounted: true }
}

/** The last key; null: there is none. */
async function lastKey(client: Queryable, { text, value }: Keys): Promise<string | null> {
  const { rows } = await client.query(
    `select key::text from (${text}) k order by k.key desc limit 1`,
    value === undefined ? [] : [value],
  )
  return rows[0]?.key ?? null
}

async function keyCount(client: Queryable, { text, value }: Keys): Promise<number> {
  const { rows } = await client.query(
    `select count(*) as count from (${text}) k`,
    value === undefined ? [] : [value],
  )
  return Number(rows[0].count)
}
