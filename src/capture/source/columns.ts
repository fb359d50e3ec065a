import { columnsOfKey } from '../../domain/mapping/entity-key.ts'
import { type EntityMapping, tableKey } from '../../domain/mapping/mapping.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { readPosition } from '../../outbox/log/position.ts'
import { addKnownColumns, knowsColumns, readKnownColumns } from '../../outbox/source/known-columns.ts'
import type { Log } from '../../runtime/log.ts'
import { type Catalogue, chosenFields } from '../verdict/catalogue.ts'
import { conditionsWithoutBefore, lastWithoutBefore, withoutBefore } from '../verdict/rows-before.ts'
import { readCatalogue } from './read-catalogue.ts'
import type { Source } from './source.ts'

/**
 * Gives each entity that ignores new columns its first columns: all of a table at its first look. Later ones are not sent,
 * also after restarts. For a table that appears during capture, every column is new: it begins with its key, which
 * `entity_id` contains anyway.
 */
export async function withKnownColumns(
  source: Source,
  outbox: Outbox,
  { slotName, mapping }: { slotName: string; mapping: readonly EntityMapping[] },
): Promise<readonly EntityMapping[]> {
  const ignoring = mapping.filter(entity => entity.ignoresNewColumns)
  if (ignoring.length === 0) return mapping
  const { tables } = await readCatalogue(source, ignoring)
  const hasBegun = (await readPosition(outbox, slotName)) !== null
  return await Promise.all(
    mapping.map(async entity => {
      const table = tableKey(entity.table)
      const present = tables.get(table)?.columns.map(({ name }) => name)
      if (!entity.ignoresNewColumns || (!present && !hasBegun)) return entity
      const of = { slotName, entityType: entity.entityType, table }
      let known = await readKnownColumns(outbox, of)
      if (!known) {
        const first = present ?? columnsOfKey(entity.key)
        await addKnownColumns(outbox, of, first)
        known = (await readKnownColumns(outbox, of)) ?? new Set(first)
      }
      return { ...entity, fields: { ...entity.fields, known } }
    }),
  )
}

/** The known columns of each entity; empty if the outbox has no such table yet. */
export async function knownColumns(
  outbox: Pick<Outbox, 'pool'>,
  { slotName, mapping }: { slotName: string; mapping: readonly EntityMapping[] },
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const known = new Map<string, ReadonlySet<string>>()
  if (!(await knowsColumns(outbox))) return known
  for (const { entityType, table } of mapping) {
    const columns = await readKnownColumns(outbox, { slotName, entityType, table: tableKey(table) })
    if (columns) known.set(entityType, columns)
  }
  return known
}

/** The mapping for a process that changes nothing. */
export function withKnown(
  mapping: readonly EntityMapping[],
  known: ReadonlyMap<string, ReadonlySet<string>>,
): readonly EntityMapping[] {
  return mapping.map(entity => {
    const columns = known.get(entity.entityType)
    return entity.ignoresNewColumns && columns
      ? { ...entity, fields: { ...entity.fields, known: columns } }
      : entity
  })
}

/**
 * Creates the function that logs which columns are sent, and why others are not: all at the start (`all`), then each new one
 * (`added`).
 */
export function createColumnLog(options: {
  outbox: Pick<Outbox, 'pool'>
  slotName: string
  mapping: readonly EntityMapping[]
  log: Log
}) {
  const { outbox, slotName, mapping, log } = options
  const knownOf = new Map<string, ReadonlySet<string>>()

  async function added(catalogue: Catalogue): Promise<void> {
    for (const entity of mapping) {
      const { entityType } = entity
      const table = tableKey(entity.table)
      const present = catalogue.tables.get(table)?.columns.map(({ name }) => name) ?? []
      if (present.length === 0 || isKnown(knownOf.get(entityType), present)) continue
      const of = { slotName, entityType, table }
      const known = await readKnownColumns(outbox, of)
      const { fields, withheld } = chosenFields(catalogue, entity)
      for (const column of known ? present.filter(name => !known.has(name)) : []) {
        const why = withheld.find(each => each.column === column)?.why
        const facts = { entity_type: entityType, table, column }
        if (fields.has(column))
          log.warn('capture.column_added', {
            ...facts,
            is_sent: true,
            note: 'it is sent from now on; to keep it back, name it in the mapping under omit, or say new_columns: ignore or version: 2',
          })
        else
          log.warn('capture.column_added', {
            ...facts,
            is_sent: false,
            because: why ?? 'the mapping leaves it out',
          })
      }
      // An ignored column stays new: if it were known, the next start would send it.
      if (!entity.ignoresNewColumns && !isKnown(known, present)) await addKnownColumns(outbox, of, present)
      knownOf.set(entityType, new Set([...(known ?? []), ...present]))
    }
  }

  return {
    added,
    async all(catalogue: Catalogue): Promise<void> {
      for (const entity of mapping) {
        const { fields, withheld } = chosenFields(catalogue, entity)
        const facts = { entity_type: entity.entityType, table: tableKey(entity.table) }
        log.info('capture.columns', { ...facts, sent: [...fields.keys()] })
        const lacking = conditionsWithoutBefore(catalogue, entity)
        if (lacking) {
          const { columns, sql } = lacking
          const mend = sql ?? 'run walhook check: it says what it takes'
          log.warn('capture.conditions_without_before', { ...facts, columns, effect: withoutBefore, mend })
        }
        const sql = lastWithoutBefore(catalogue, entity)
        if (sql !== undefined)
          log.warn('capture.deletes_without_last', {
            ...facts,
            effect: 'a delete comes without last',
            mend: sql ?? 'run walhook check: it says what it takes',
          })
        if (withheld.length > 0)
          log.warn('capture.columns_withheld', {
            ...facts,
            columns: Object.fromEntries(withheld.map(({ column, why }) => [column, why])),
            mend: 'name a column in the mapping, under rename or include, to send it',
          })
      }
      await added(catalogue)
    },
  }
}

function isKnown(known: ReadonlySet<string> | null | undefined, present: readonly string[]): boolean {
  return known ? present.every(name => known.has(name)) : false
}
