import { type EntityMapping, quoteIdentifier, type RelatedList, tableKey } from '../domain/mapping.ts'
import type { Catalogue } from './catalogue.ts'
import type { ShapedRow } from './result.ts'
import type { Queryable } from './source.ts'

/**
 * Reads the rows of an entity's table with these keys, as they are now. A row that is gone is absent.
 * Throws when a key is not of the key column's type.
 */
export async function readRows(
  db: Queryable,
  catalogue: Catalogue,
  entity: EntityMapping,
  keys: readonly string[],
): Promise<Map<string, ShapedRow>> {
  const key = quoteIdentifier(entity.key)
  const { rows, fields } = await db.query({
    text: `select * from ${tableKey(entity.table)} where ${key} = any($1::${typeOf(catalogue, entity.table, entity.key)}[])`,
    values: [keys],
    rowMode: 'array',
  })
  return byKey(entity, rows, fields)
}

/** Reads up to `limit` rows of an entity's table in the order of their keys, those after the key `after`. */
export async function readPage(
  db: Queryable,
  catalogue: Catalogue,
  entity: EntityMapping,
  page: { after: string | null; limit: number },
): Promise<Map<string, ShapedRow>> {
  const key = quoteIdentifier(entity.key)
  const { rows, fields } = await db.query({
    text: `select * from ${tableKey(entity.table)}
           where $1::text is null or ${key} > $1::text::${typeOf(catalogue, entity.table, entity.key)}
           order by ${key} limit $2`,
    values: [page.after, page.limit],
    rowMode: 'array',
  })
  return byKey(entity, rows, fields)
}

function byKey(
  entity: EntityMapping,
  rows: (string | null)[][],
  fields: readonly { name: string; dataTypeID: number }[],
): Map<string, ShapedRow> {
  const shape = fields.map(field => ({ name: field.name, typeOid: field.dataTypeID }))
  const keyIndex = shape.findIndex(({ name }) => name === entity.key)
  return new Map(rows.map(values => [values[keyIndex]!, { shape, values }]))
}

/**
 * Reads a related list for many owners in one query. Returns the JSON of each owner's list; an owner without
 * related rows is absent. Items come in the order of the related table's primary key.
 */
export async function readRelated(
  db: Queryable,
  catalogue: Catalogue,
  related: RelatedList,
  owners: readonly string[],
): Promise<Map<string, string>> {
  const owner = quoteIdentifier(related.owner)
  const columns = related.columns.map(quoteIdentifier)
  const order = catalogue.tables.get(tableKey(related.table))?.primaryKey.map(quoteIdentifier) ?? []
  const { rows, fields } = await db.query({
    text: `select ${[owner, ...columns].join(', ')} from ${tableKey(related.table)}
           where ${owner} = any($1::${typeOf(catalogue, related.table, related.owner)}[])
           ${order.length > 0 ? `order by ${order.join(', ')}` : ''}`,
    values: [owners],
    rowMode: 'array',
  })
  const writers = fields.slice(1).map(field => catalogue.writerOf(field.dataTypeID))
  const items = new Map<string, string[]>()
  for (const [key, ...values] of rows as [string, ...(string | null)[]][]) {
    const json = values.map((value, i) => (value === null ? 'null' : writers[i]!(value)))
    const item = related.plain
      ? json[0]!
      : `{${json.map((value, i) => `${JSON.stringify(related.columns[i])}:${value}`).join(',')}}`
    const list = items.get(key)
    if (list) list.push(item)
    else items.set(key, [item])
  }
  return new Map([...items].map(([key, list]) => [key, `[${list.join(',')}]`]))
}

function typeOf(catalogue: Catalogue, table: RelatedList['table'], column: string): string {
  const found = catalogue.tables.get(tableKey(table))?.columns.find(({ name }) => name === column)
  if (!found) throw new Error(`${tableKey(table)} has no column ${column}`)
  return found.typeName
}
