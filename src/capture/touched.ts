import { type Change, type Column, type Relation, type Row, unchanged, type Value } from '../domain/change.ts'
import { type Folded, fold, type Step } from '../domain/fold.ts'
import { type EntityMapping, type RelatedList, type TableName, tableKey } from '../domain/mapping.ts'
import type { Catalogue } from './catalogue.ts'
import type { TransactionPart } from './inbox.ts'

/** An entity that a transaction changed, on the way to its event. */
export type Touched = {
  readonly entity: EntityMapping
  /** Null where the row came without it. */
  readonly key: string | null
  readonly part: TransactionPart
  folded: Folded
  relation: Relation | null
}

/** What a relation of the stream means for the mapping. */
export type Plan = {
  readonly entities: readonly {
    readonly entity: EntityMapping
    readonly keyIndex: number
    /** The places of the replica identity's columns beside the key: of these the row before is always known. */
    readonly identity: readonly number[]
  }[]
  readonly owners: readonly {
    readonly entity: EntityMapping
    readonly field: string
    readonly ownerIndex: number
    /** The places that decide what the field shows; null where the relation is older than the mapping. */
    readonly shown: readonly number[] | null
  }[]
}

/** A table is the mapped one by its name when the change was made, or, renamed meanwhile, by its OID. */
export function makePlan(relation: Relation, mapping: readonly EntityMapping[], catalogue: Catalogue): Plan {
  const key = tableKey(relation)
  const isMeant = (table: TableName) =>
    tableKey(table) === key || catalogue.tables.get(tableKey(table))?.oid === relation.oid
  const indexOf = (column: string) => {
    const index = relation.columns.findIndex(({ name }) => name === column)
    if (index < 0) throw new Error(`${key} no longer has the column ${column} that the mapping names`)
    return index
  }
  const shownBy = ({ table, owner, columns, key }: RelatedList) => {
    const names = relation.columns.map(({ name }) => name)
    // The order of the items is by primary key.
    const order = catalogue.tables.get(tableKey(table))?.primaryKey ?? []
    const shown = [owner, ...(key === undefined ? [] : [key]), ...columns, ...order]
    return shown.every(name => names.includes(name)) ? shown.map(indexOf) : null
  }
  return {
    entities: mapping
      .filter(entity => isMeant(entity.table))
      .map(entity => ({
        entity,
        keyIndex: indexOf(entity.key),
        identity: relation.columns.flatMap(({ name, inKey }, i) => (inKey && name !== entity.key ? [i] : [])),
      })),
    owners: mapping.flatMap(entity =>
      entity.related
        .filter(({ table }) => isMeant(table))
        .map(list => ({
          entity,
          field: list.field,
          ownerIndex: indexOf(list.owner),
          shown: shownBy(list),
        })),
    ),
  }
}

/** Folds one transaction's changes by entity, in the order in which the entities were first changed. */
export function foldPart(
  part: TransactionPart,
  planOf: (relation: Relation) => Plan,
  onTruncate: (table: string) => void,
): Touched[] {
  const touched = new Map<string, Touched>()

  function step(entity: EntityMapping, key: Value | undefined, relation: Relation | null, by: Step) {
    const isKeyed = typeof key === 'string'
    // Rows without a key can't be told apart: each stands for itself.
    const id = isKeyed ? `${entity.entityType}\n${key}` : `${touched.size}`
    const earlier = touched.get(id)
    if (earlier) {
      const isOfOtherColumns = relation && earlier.relation && !haveSameColumns(relation, earlier.relation)
      earlier.folded = fold(isOfOtherColumns ? forgetRows(earlier.folded) : earlier.folded, by)
      earlier.relation = relation ?? earlier.relation
    } else touched.set(id, { entity, key: isKeyed ? key : null, part, folded: fold(undefined, by), relation })
  }

  function take(change: Exclude<Change, { kind: 'truncate' }>) {
    const { relation } = change
    const plan = planOf(relation)
    const row = change.kind === 'delete' ? null : change.row
    const old = change.kind === 'insert' ? null : change.old
    for (const { entity, keyIndex, identity } of plan.entities) {
      const key = row?.[keyIndex]
      const oldKey = old?.[keyIndex]
      if (change.kind === 'insert') step(entity, key, relation, { kind: 'insert', row: change.row })
      else if (change.kind === 'delete')
        step(entity, oldKey, relation, { kind: 'delete', old: knownBefore(change, identity) })
      else if (typeof oldKey === 'string' && oldKey !== key) {
        // Another key is another entity: the old one is gone, the new one is new.
        step(entity, oldKey, relation, { kind: 'delete', old: knownBefore(change, identity) })
        step(entity, key, relation, { kind: 'insert', row: filled(change) })
      } else
        step(entity, key, relation, {
          kind: 'update',
          row: filled(change),
          old: knownBefore(change, identity),
        })
    }
    for (const { entity, field, ownerIndex, shown } of plan.owners) {
      if (!entity.sendsUnchanged && change.kind === 'update' && isKnownUnchanged(change, shown)) continue
      for (const owner of new Set([old?.[ownerIndex], row?.[ownerIndex]]))
        if (typeof owner === 'string') step(entity, owner, null, { kind: 'touch', field })
    }
  }

  for (const change of part.changes)
    if (change.kind === 'truncate') change.relations.map(tableKey).forEach(onTruncate)
    else take(change)
  return [...touched.values()].filter(({ folded }) => folded.state !== 'nothing')
}

/** False where a statement in between has changed the columns: then a place in one row says nothing of the other. */
function haveSameColumns(a: Relation, b: Relation): boolean {
  if (a === b) return true
  const isSame = ({ name, typeOid }: Column, i: number) =>
    name === b.columns[i]?.name && typeOid === b.columns[i].typeOid
  return a.columns.length === b.columns.length && a.columns.every(isSame)
}

function forgetRows(folded: Folded): Folded {
  return { ...folded, row: null, before: folded.before === 'untouched' ? 'untouched' : 'unknown' }
}

/** With identity FULL the old row shows that an UPDATE of a related row changed nothing that its owner shows. */
function isKnownUnchanged(
  { relation, row, old }: Change & { kind: 'update' },
  shown: readonly number[] | null,
): boolean {
  if (relation.identity !== 'full' || old === null || shown === null) return false
  return shown.every(i => row[i] === unchanged || row[i] === old[i])
}

/** Fills values that the UPDATE left alone from the row before, which only identity FULL gives whole. */
function filled({ relation, row, old }: Change & { kind: 'update' }): Row {
  if (relation.identity !== 'full' || old === null || !row.includes(unchanged)) return row
  return row.map((value, i) => (value === unchanged ? old[i]! : value))
}

/**
 * What the WAL says of the row before: all of it with identity FULL, else the columns of the identity, which an
 * UPDATE that gives no old row has left as they were. Null where that is nothing beside the key.
 */
function knownBefore(
  change: Change & { kind: 'update' | 'delete' },
  identity: readonly number[],
): Row | null {
  const { relation, old } = change
  if (relation.identity === 'full') return old
  if (identity.length === 0) return null
  const from = old ?? (change.kind === 'update' ? change.row : [])
  return relation.columns.map((_, i) => (identity.includes(i) ? from[i]! : unchanged))
}
