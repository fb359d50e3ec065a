import type { CheckLine } from '../../domain/capture/check-line.ts'
import { suspectKeys, suspectValues } from '../../domain/mapping/credential-values.ts'
import { columnsOfKey } from '../../domain/mapping/entity-key.ts'
import {
  type EntityMapping,
  quoteIdentifier,
  type RelatedList,
  sendsName,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import { describeError } from '../../runtime/log.ts'
import type { Source } from '../source/source.ts'
import { type Catalogue, chosenFields, type Table } from '../verdict/catalogue.ts'

const sampledRows = 300
const sampledCharacters = 4_096
const withinMs = 5_000

/**
 * Samples a few hundred rows of each mapped table for values of sent columns that look like secrets, and for such names in
 * related rows. Values are never shown. Unreadable tables are reported by other lines.
 */
export async function sampleLines(
  source: Source,
  catalogue: Catalogue,
  mapping: readonly EntityMapping[],
): Promise<CheckLine[]> {
  const lines: CheckLine[] = []
  for (const entity of mapping) {
    const what = `entity ${entity.entityType}, values`
    try {
      const found = await sampleEntity(source, catalogue, entity)
      lines.push(
        ...found.map(
          ({ column, holds, mend }): CheckLine => ({
            level: 'warning',
            code: 'values',
            what: `${what} of ${column}`,
            found: `sent, although it seems to contain ${holds}`,
            mend,
          }),
        ),
      )
      if (found.length === 0)
        lines.push({
          level: 'ok',
          code: 'values',
          what,
          found: 'no secrets in a sample',
          mend: null,
        })
      for (const list of entity.related)
        if (list.key !== undefined)
          lines.push(await namesLine(source, catalogue, entity, { ...list, key: list.key }))
    } catch (error) {
      lines.push({
        level: 'ok',
        code: 'values',
        what,
        found: `no sample could be read: ${describeError(error)}`,
        mend: null,
      })
    }
  }
  return lines
}

type Found = { column: string; holds: string; mend: string }

async function sampleEntity(source: Source, catalogue: Catalogue, entity: EntityMapping): Promise<Found[]> {
  const found: Found[] = []
  const sample = async (name: TableName, columns: readonly string[], mendOf: (column: string) => string) => {
    const table = catalogue.tables.get(tableKey(name))
    if (!table?.isReadable) return
    for (const { column, holds } of await sampleTable(source, catalogue, table, columns))
      found.push({ column: `${tableKey(name)}.${column}`, holds, mend: mendOf(column) })
  }
  const sent = [...chosenFields(catalogue, entity).fields.keys()]
  await sample(
    entity.table,
    sent.filter(column => !columnsOfKey(entity.key).includes(column)),
    column => `if it is a secret, add ${column} to entities.${entity.entityType}.fields.omit`,
  )
  for (const { field, table, columns } of entity.related)
    await sample(
      table,
      columns,
      column => `if it is a secret, leave ${column} out of the related field ${field}`,
    )
  return found
}

/** The columns that seem to contain secrets, by a few hundred rows. */
export async function sampleTable(
  source: Source,
  catalogue: Pick<Catalogue, 'kindOf'>,
  table: Pick<Table, 'name' | 'columns'>,
  wanted: readonly string[],
): Promise<{ column: string; holds: string }[]> {
  const columns = table.columns.filter(
    ({ name, typeOid }) =>
      wanted.includes(name) && ['text', 'json', 'bytes'].includes(catalogue.kindOf(typeOid)),
  )
  const rows = await readSample(
    source,
    table.name,
    columns.map(({ name }) => name),
  )
  return columns.flatMap(({ name, typeOid }, i) => {
    const values = rows.map(row => row[i] ?? null)
    const inside = catalogue.kindOf(typeOid) === 'json' ? suspectKeys(values) : []
    if (inside.length > 0)
      return [{ column: name, holds: `credentials, by their names: ${inside.join(', ')}` }]
    const holds = suspectValues(values)
    return holds === null ? [] : [{ column: name, holds }]
  })
}

/** The withheld names in a sample of a related object's rows, such as `session_tokens`. */
async function namesLine(
  source: Source,
  catalogue: Catalogue,
  entity: EntityMapping,
  list: RelatedList & { readonly key: string },
): Promise<CheckLine> {
  const { field, table, key, columns } = list
  const typeOid = catalogue.tables
    .get(tableKey(table))
    ?.columns.find(({ name }) => name === columns[0])?.typeOid
  const names = new Set((await readSample(source, table, [key])).map(([name]) => name ?? ''))
  const withheld = [...names]
    .filter(name => !sendsName(list, name, catalogue.kindOf(typeOid ?? 0)))
    .slice(0, 20)
  return {
    level: 'ok',
    code: 'names',
    what: `entity ${entity.entityType}, names in ${field}`,
    found:
      withheld.length === 0
        ? 'none withheld in a sample'
        : `withheld: ${withheld.join(', ')}. To choose them, list the names under entities.${entity.entityType}.related.${field}.include`,
    mend: null,
  }
}

async function readSample(source: Source, table: TableName, columns: readonly string[]): Promise<string[][]> {
  if (columns.length === 0) return []
  const list = columns
    .map(column => `left(${quoteIdentifier(column)}::text, ${sampledCharacters})`)
    .join(', ')
  const client = await source.pool.connect()
  try {
    await client.query(`begin read only; set local statement_timeout = ${withinMs}`)
    const { rows } = await client.query({
      text: `select ${list} from ${tableKey(table)} limit ${sampledRows}`,
      rowMode: 'array',
    })
    return rows as string[][]
  } finally {
    await client.query('rollback').catch(() => {})
    client.release()
  }
}
