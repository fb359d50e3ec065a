import { suspect } from '../../domain/mapping/credentials.ts'
import { type Draft, draftMapping, type KnownTable } from '../../domain/mapping/first-mapping.ts'
import { type EntityMapping, type TableName, tableKey } from '../../domain/mapping/mapping.ts'
import { describeError } from '../../runtime/log.ts'
import { readCatalogue } from '../source/read-catalogue.ts'
import type { Source } from '../source/source.ts'
import { withinLimits } from '../source/source-locks.ts'
import type { Catalogue, Table } from '../verdict/catalogue.ts'
import { sampleTable } from './sample-columns.ts'

/** The application's tables: no partitions, nothing of an extension. */
const tablesStatement = `
select n.nspname as schema, c.relname as name, case when c.reltuples >= 0 then c.reltuples end as rows
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and c.relpersistence = 'p' and not c.relispartition
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'walhook')
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by n.nspname <> 'public', 1, 2 limit 10000`

/** A first mapping of a source, by its catalogue and a sample of the values to be sent. `notes`: what could not be read. */
export async function readDraft(source: Source): Promise<{ draft: Draft; notes: string[] }> {
  const { catalogue, tables } = await withinLimits(source, async db => {
    const { rows } = await db.query(tablesStatement)
    const names: readonly TableName[] = rows.map(({ schema, name }) => ({ schema, name }))
    const read = await readCatalogue({ pool: db }, names.map(asEntity))
    const known = rows.flatMap(({ schema, name, rows }) => {
      const table = read.tables.get(tableKey({ schema, name }))
      return table ? [{ table, rows: rows === null ? null : Number(rows) }] : []
    })
    return { catalogue: read, tables: known }
  })
  const known = new Map(
    tables.map(each => [tableKey(each.table.name), toKnownTable(catalogue, each.table, each.rows)]),
  )
  const notes: string[] = []
  // A first draft selects the tables to sample.
  for (const name of tablesOf(draftMapping([...known.values()]))) {
    const table = catalogue.tables.get(tableKey(name))!
    const inspected = await inspectTable(source, catalogue, table, known.get(tableKey(name))!)
    known.set(tableKey(name), inspected.table)
    if (inspected.note !== null) notes.push(inspected.note)
  }
  return { draft: draftMapping([...known.values()]), notes }
}

const asEntity = (table: TableName, i: number): EntityMapping => ({
  entityType: `table_${i}`,
  table,
  key: 'id',
  fields: { include: null, omit: [], rename: {} },
  related: [],
  sendsUnchanged: false,
})

function toKnownTable(catalogue: Catalogue, table: Table, rows: number | null): KnownTable {
  const { name, primaryKey, uniqueColumns, references } = table
  const columns = table.columns.map(column => {
    const kind = catalogue.kindOf(column.typeOid)
    return { name: column.name, kind, suspicion: suspect({ name: column.name, kind }) }
  })
  const key = primaryKey.length > 1 ? primaryKey : (primaryKey[0] ?? uniqueColumns[0] ?? null)
  return { name, columns, key, references, rows }
}

function tablesOf({ entities }: Draft): TableName[] {
  const names = entities.flatMap(({ table, related }) => [
    table,
    ...related
      .filter(({ because }) => because === null)
      .flatMap(list => [list.table, ...(list.through ? [list.through.table] : [])]),
  ])
  return [...new Map(names.map(name => [tableKey(name), name])).values()]
}

async function inspectTable(
  source: Source,
  catalogue: Catalogue,
  table: Table,
  known: KnownTable,
): Promise<{ table: KnownTable; note: string | null }> {
  const notLookedAt = (because: string) => ({
    table: known,
    note: `No sample of ${tableKey(table.name)}: ${because}`,
  })
  if (!table.isReadable) return notLookedAt('this role may not read it')
  try {
    const wanted = known.columns.filter(({ suspicion }) => suspicion === null).map(({ name }) => name)
    const found = new Map(
      (await sampleTable(source, catalogue, table, wanted)).map(({ column, holds }) => [column, holds]),
    )
    const columns = known.columns.map(column => {
      const holds = found.get(column.name)
      return holds === undefined ? column : { ...column, suspicion: `it seems to contain ${holds}` }
    })
    return { table: { ...known, columns }, note: null }
  } catch (error) {
    return notLookedAt(describeError(error))
  }
}
