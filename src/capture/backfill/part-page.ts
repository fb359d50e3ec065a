import type { Part } from '../../domain/capture/resync.ts'
import { type EntityMapping, quoteIdentifier, tableKey } from '../../domain/mapping/mapping.ts'
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
  at: { after: string | null; until: string | null; limit: number },
): Promise<Page> {
  const { keys: found, ...page } = await reading(source, catalogue, entity, async (client, snapshot) => {
    const none = { keys: [] as string[], untilKey: at.until, rowsEstimate: null, snapshot }
    const bounds = await boundsOf(client, part)
    const keys = keysStatement(catalogue, entity, part, bounds)
    if (!bounds || !keys) return none
    const untilKey = at.until ?? (await lastKey(client, keys))
    if (untilKey === null) return none
    const { rows } = await client.query(
      `select key::text from (${keys.text}) k
       where key <= $1::text::${keys.type} ${at.after === null ? '' : `and key > $3::text::${keys.type}`}
       order by k.key limit $2`,
      [untilKey, at.limit, ...(at.after === null ? [] : [at.after])],
    )
    return { ...none, keys: rows.map((row): string => row.key), untilKey }
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
  bounds: string | null,
): { text: string; type: string } | null {
  const isOwn = tableKey(entity.table) === tableName
  const columns = isOwn
    ? [entity.key]
    : entity.related.filter(({ table }) => tableKey(table) === tableName).map(({ owner }) => owner)
  const found = catalogue.tables.get(tableName)?.columns.find(({ name }) => name === columns[0])
  if (!found) return null
  const texts = [...new Set(columns)].map(column => {
    const name = quoteIdentifier(column)
    return `select ${isOwn ? '' : 'distinct '}${name} as key from ${tableName} where ${name} is not null and ${bounds}`
  })
  return { text: texts.join(' union '), type: found.typeName }
}

async function lastKey(client: Queryable, keys: { text: string }): Promise<string | null> {
  const { rows } = await client.query(`select key::text from (${keys.text}) k order by k.key desc limit 1`)
  return rows[0]?.key ?? null
}
