import { isKnown, type Relation, type Row } from '../../domain/capture/change.ts'
import type { Folded } from '../../domain/capture/fold.ts'
import { chooseFields, type EntityMapping, ruleOf, tableKey } from '../../domain/mapping/mapping.ts'
import type { JsonWriter } from '../../domain/value/json-text.ts'
import { perPair } from '../../runtime/per-pair.ts'
import { type Catalogue, choosable } from '../verdict/catalogue.ts'

/** The known facts of an update. */
export type ChangeFacts = {
  /** A JSON object of changed fields with their values before; null: none known. */
  readonly previous: string | null
  /** The names of changed fields; null: unknown. */
  readonly changed: readonly string[] | null
}

const nothingKnown: ChangeFacts = { previous: null, changed: null }

type Field = {
  /** The position in the row; null for generated values outside the WAL. */
  readonly index: number | null
  readonly name: string
  readonly nameJson: string
  readonly write: JsonWriter
}

/**
 * Creates the function that compares an entity before and after a transaction, by field, as sent: equal JSON is no change.
 * Generated values count as changed with anything in their row, and a related list with any of its rows; their earlier values
 * are unknown.
 */
export function createFactsFinder(catalogue: Catalogue) {
  const fieldsOf = perPair((relation: Relation, entity: EntityMapping): readonly Field[] => {
    const inWal = relation.columns.map(({ name }) => name)
    const generated = (catalogue.tables.get(tableKey(entity.table))?.columns ?? []).filter(
      ({ name, isGenerated }) => isGenerated && !inWal.includes(name),
    )
    const included = relation.columns.filter(column => column.included === undefined)
    const columns = choosable(catalogue, [...included, ...generated])
    return [...chooseFields(entity, columns).fields].map(([column, name]) => {
      const index = inWal.indexOf(column)
      const format = ruleOf(entity.fields.format, column)
      const write = index < 0 ? String : catalogue.writerOf(relation.columns[index]!.typeOid, format)
      return { index: index < 0 ? null : index, name, nameJson: JSON.stringify(name), write }
    })
  })

  return (entity: EntityMapping, relation: Relation | null, folded: Folded): ChangeFacts => {
    const { state, row, before, changedLists } = folded
    if (state !== 'update') return nothingKnown
    if (before === 'unmodified') return { previous: null, changed: changedLists }
    if (before === 'unknown' || row === null || relation === null) return nothingKnown
    const previous: string[] = []
    const changed: string[] = []
    let isAllKnown = true
    for (const { index, name, nameJson, write } of fieldsOf(relation, entity)) {
      if (index === null) {
        if (differs(row, before)) changed.push(name)
        continue
      }
      const now = row[index]!
      const then = before[index]!
      if (now === then && isKnown(now)) continue
      if (!isKnown(now) || !isKnown(then)) {
        isAllKnown = false
        continue
      }
      const thenJson = then === null ? 'null' : write(then)
      if (thenJson === (now === null ? 'null' : write(now))) continue
      changed.push(name)
      previous.push(`${nameJson}:${thenJson}`)
    }
    if (!isAllKnown) return { previous: objectOf(previous), changed: null }
    const all = [...changed, ...changedLists]
    return { previous: all.length === 0 ? '{}' : objectOf(previous), changed: all }
  }
}

const objectOf = (fields: readonly string[]) => (fields.length === 0 ? null : `{${fields.join(',')}}`)

function differs(row: Row, before: Row): boolean {
  return row.some((value, i) => !isKnown(value) || value !== before[i])
}
