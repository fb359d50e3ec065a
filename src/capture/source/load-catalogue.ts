import { type KnownColumn, livingMapping } from '../../domain/capture/known-columns.ts'
import { lostSentence } from '../../domain/capture/lost-texts.ts'
import {
  type EntityMapping,
  publishedTables,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { noteColumns } from '../../outbox/source/source-columns.ts'
import { describeError, type Log } from '../../runtime/log.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import { readCatalogue } from './read-catalogue.ts'
import type { Queryable, Source } from './source.ts'
import { withinLimits } from './source-locks.ts'

/**
 * Creates the function that reads the catalogue and stores the mapped tables' columns, so that they are known by every name
 * in the WAL. Dropped objects of the mapping are reported once, and stop nothing.
 */
export function createCatalogueLoader(options: {
  source: Source
  outbox: Outbox
  slotName: string
  mapping: readonly EntityMapping[]
  log: Log
}) {
  const { source, outbox, slotName, mapping, log } = options
  let logged: ReadonlySet<string> = new Set()

  async function learn(db: Queryable = source.pool): Promise<Catalogue> {
    const catalogue = await readCatalogue({ pool: db }, mapping)
    const known = await noteColumns(outbox, slotName, columnsOf(catalogue, mapping))
    const living = await readLivingMapping(db, { ...catalogue, known }, mapping)
    const lost = living.lost.map(each => lostSentence(each))
    const because = 'the source has dropped it; everything else continues'
    for (const what of lost.filter(each => !logged.has(each)))
      log.error('capture.mapping_lost', { what, because })
    logged = new Set(lost)
    return { ...catalogue, known }
  }

  return {
    learn: () => learn(),
    /**
     * Tables that are not captured yet, or without any change so far, are known from now on: a rename is recognized. Waits
     * for no lock.
     */
    async noteReports(): Promise<void> {
      await withinLimits(source, learn).catch(error =>
        log.debug('capture.inspection_failed', { reason: describeError(error) }),
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

/** The mapping reduced to existing objects, and the present names of renamed or moved tables. */
export type Living = ReturnType<typeof livingMapping> & { readonly moved: ReadonlyMap<string, TableName> }

/** The mapping reduced to existing objects. `known` of the catalogue says what was captured before. */
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
