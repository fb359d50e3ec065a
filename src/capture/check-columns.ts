import { type EntityMapping, tableKey } from '../domain/mapping.ts'
import { type Catalogue, chosenFields } from './catalogue.ts'
import type { CheckLine } from './check-line.ts'

/** Which columns of an entity leave, by their names in the database, and which don't and why. */
export function columnsLine(catalogue: Catalogue, entity: EntityMapping): CheckLine | null {
  if (!catalogue.tables.has(tableKey(entity.table))) return null
  const { fields, withheld } = chosenFields(catalogue, entity)
  const related = entity.related.map(
    ({ field, table, columns, key }) =>
      `${field} (${tableKey(table)}: ${[...(key === undefined ? [] : [key]), ...columns].join(', ')})`,
  )
  const sent = [...fields.keys(), ...related].join(', ')
  const kept = withheld.map(({ column, why }) => `${column} (${why})`).join(', ')
  return {
    level: 'ok',
    what: `entity ${entity.entityType}, columns`,
    found:
      `sent: ${sent || 'none'}` +
      (kept === ''
        ? '; withheld: none'
        : `; withheld: ${kept}. To send one of these, name it in the mapping, under rename or include`),
    mend: null,
  }
}
