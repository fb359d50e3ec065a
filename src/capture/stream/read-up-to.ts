import type { QueryArrayResult } from 'pg'
import type { Queryable } from '../source/source.ts'
import type { Catalogue } from '../verdict/catalogue.ts'

/** Thrown if rows are too large to read at once; `share`: the part that is not. */
export class TooMuch extends Error {
  readonly share: number
  constructor(share: number) {
    super('the rows are too large to be read at once')
    this.share = share
  }
}

const text = 25
const textLike = new Set([text, 1_042, 1_043])
const bytea = 17

/**
 * Reads rows for keys if their values have at most `maxBytes`; throws `TooMuch` otherwise. Postgres reports sizes without
 * reading, or at least without sending, the values.
 */
export async function readUpTo(
  db: Queryable,
  query: {
    columns: string
    /** `from … where … = any($1)`, with a parameter for each list of `keys`. */
    from: string
    order: string
    keys: readonly (readonly string[])[]
    /** The columns to read, in SQL, as far as the catalogue knows them. */
    sized: readonly { readonly sql: string; readonly typeOid: number }[]
    catalogue: Pick<Catalogue, 'baseTypeOf'>
    maxBytes: number
  },
): Promise<Pick<QueryArrayResult<(string | null)[]>, 'rows' | 'fields'>> {
  const { columns, from, order, keys, sized, catalogue, maxBytes } = query
  const ask = (text: string, values: unknown[]) => db.query({ text, values, rowMode: 'array' })
  if (maxBytes === Number.POSITIVE_INFINITY) return await ask(`select ${columns} ${from} ${order}`, [...keys])
  const sizes = sized.map(({ sql, typeOid }) => sizeOf(sql, catalogue.baseTypeOf(typeOid)))
  const size = `(${['0', ...sizes].join(' + ')})`
  const { rows, fields } = await ask(
    `select * from (
       select ${columns}, sum(${size}) over up_to - ${size} as "walhook before", count(*) over () as "walhook rows"
       ${from} window up_to as (${order} rows unbounded preceding)
       ${order}
     ) as sized where "walhook before" <= $${keys.length + 1}`,
    [...keys, maxBytes],
  )
  const count = Number(rows[0]?.at(-1) ?? 0)
  if (rows.length < count) throw new TooMuch(rows.length / count)
  return { rows: rows.map((row: (string | null)[]) => row.slice(0, -2)), fields: fields.slice(0, -2) }
}

function sizeOf(column: string, typeOid: number): string {
  if (textLike.has(typeOid)) return `coalesce(octet_length(${column}), 0)::bigint`
  // Its text has two digits per byte.
  if (typeOid === bytea) return `2 * coalesce(octet_length(${column}), 0)::bigint`
  // Only compressed values must be decompressed to know their size.
  return `coalesce(case when pg_column_compression(${column}) is null then pg_column_size(${column}) else octet_length(${column}::text) end, 0)::bigint`
}
