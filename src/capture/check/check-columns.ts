import type { CheckLine } from '../../domain/capture/check-line.ts'
import { type EntityMapping, tableKey } from '../../domain/mapping/mapping.ts'
import { type Catalogue, chosenFields } from '../verdict/catalogue.ts'

/**
 * Which columns of an entity are sent, by their names in the database, and why others are not. `known`: columns of earlier
 * looks; a new sent column is a warning.
 */
export function columnsLine(
  catalogue: Catalogue,
  entity: EntityMapping,
  known: ReadonlySet<string> | null,
): CheckLine | null {
  if (!catalogue.tables.has(tableKey(entity.table))) return null
  const { fields, withheld } = chosenFields(catalogue, entity)
  const related = entity.related.map(
    ({ field, table, columns, key, through = [] }) =>
      `${field} (${[...through, { table }].map(each => tableKey(each.table)).join(' → ')}: ${[...(key === undefined ? [] : [key]), ...columns].join(', ')})`,
  )
  const fixed = Object.keys(entity.fields.fixed ?? {}).map(field => `${field} (fixed)`)
  const sent = [...fields.keys(), ...fixed, ...related].join(', ')
  const kept = withheld.map(({ column, why }) => `${column} (${why})`).join(', ')
  const added = known ? [...fields.keys()].filter(column => !known.has(column)) : []
  return {
    level: added.length > 0 ? 'warning' : 'ok',
    code: 'columns',
    what: `entity ${entity.entityType}, columns`,
    found:
      (added.length > 0 ? `new, and sent from now on: ${added.join(', ')}; ` : '') +
      `sent: ${sent || 'none'}` +
      (kept === ''
        ? '; withheld: none'
        : `; withheld: ${kept}. To send one of these, name it in the mapping, under rename or include`),
    mend:
      added.length > 0
        ? `to withhold one, add it to entities.${entity.entityType}.fields.omit; to withhold all new columns, write new_columns: ignore, or version: 2 at the top of the file`
        : null,
  }
}
