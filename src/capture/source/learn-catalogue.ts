import { type KnownColumn, livingMapping } from '../../domain/capture/known-columns.ts'
import {
  type EntityMapping,
  publishedTables,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { noteColumns } from '../../outbox/source/source-columns.ts'
import { describeError, type Log } from '../../runtime/log.ts'
import { type Catalogue, readCatalogue } from './catalogue.ts'
import type { Queryable, Source } from './source.ts'
import { withinLimits } from './source-locks.ts'

/**
 * Makes the function that reads the catalogue and takes note of the columns of the mapped tables, so that they are known
 * by whatever name the WAL may still have. What the mapping names and the source has dropped stops nothing, and is told
 * once.
 */
export function createLearner(options: {
  source: Source
  outbox: Outbox
  slotName: string
  mapping: readonly EntityMapping[]
  log: Log
}) {
  const { source, outbox, slotName, mapping, log } = options
  let told: ReadonlySet<string> = new Set()

  async function learn(db: Queryable = source.pool): Promise<Catalogue> {
    const catalogue = await readCatalogue({ pool: db }, mapping)
    const known = await noteColumns(outbox, slotName, columnsOf(catalogue, mapping))
    const { lost } = await readLivingMapping(db, { ...catalogue, known }, mapping)
    const because = 'the source has dropped it; everything else goes on'
    for (const what of lost.filter(each => !told.has(each)))
      log.error('capture.mapping_lost', { what, because })
    told = new Set(lost)
    return { ...catalogue, known }
  }

  return {
    learn: () => learn(),
    /**
     * A table that can't be captured yet, or of which the stream has brought nothing yet, is known from now on, too: if it is
     * renamed then, it was not dropped. Nobody waits for a lock here.
     */
    async noteNews(): Promise<void> {
      await withinLimits(source, learn).catch(error =>
        log.debug('capture.look_failed', { reason: describeError(error) }),
      )
    },
  }
}

function columnsOf({ tables }: Catalogue, mapping: readonly EntityMapping[]): KnownColumn[] {
  return [...tables.values()].flatMap(({ oid, name: table, attributes }) => {
    const entities = mapping.filter(entity => tableKey(entity.table) === tableKey(table))
    return attributes.flatMap((name, i) => {
      if (name === null) return []
      const isOmitted = entities.some(({ fields }) => fields.omit.includes(name))
      return [{ tableOid: oid, table, name, attnum: i + 1, isOmitted }]
    })
  })
}

/** The mapping as far as the source still has what it names, and where tables are now that have another name or schema. */
export type Living = ReturnType<typeof livingMapping> & { readonly moved: ReadonlyMap<string, TableName> }

/** The mapping as far as the source still has what it names. `known` of the catalogue says what was captured before. */
export async function readLivingMapping(
  db: Queryable,
  { tables, known = [] }: Pick<Catalogue, 'tables' | 'known'>,
  mapping: readonly EntityMapping[],
): Promise<Living> {
  const missing = publishedTables(mapping)
    .map(tableKey)
    .filter(key => !tables.has(key))
  const captured = known.filter(({ table }) => missing.includes(tableKey(table)))
  const dropped = new Set<string>()
  const moved = new Map<string, TableName>()
  if (captured.length > 0) {
    const { rows } = await db.query(
      `select c.oid::int8 as oid, n.nspname as schema, c.relname as name
       from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = any($1::int8[])`,
      [[...new Set(captured.map(({ tableOid }) => tableOid))]],
    )
    const existing = new Map(rows.map(({ oid, schema, name }) => [Number(oid), { schema, name }]))
    for (const [key, columns] of Map.groupBy(captured, ({ table }) => tableKey(table))) {
      const now = columns.map(({ tableOid }) => existing.get(tableOid)).find(name => name !== undefined)
      if (now) moved.set(key, now)
      else dropped.add(key)
    }
  }
  return { ...livingMapping(mapping, known, { tables, dropped }), moved }
}
