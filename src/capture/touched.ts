import { type Change, type Column, type Relation, type Row, unchanged, type Value } from '../domain/change.ts'
import { type Folded, fold, type Step } from '../domain/fold.ts'
import { type EntityMapping, type RelatedList, type TableName, tableKey } from '../domain/mapping.ts'
import type { Catalogue, Table } from './catalogue.ts'
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
  /** Whether an old row is a whole one. A partition may have another identity than the table it is told as. */
  readonly isFull: boolean
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
  const tables = [...catalogue.tables.values()].filter(
    ({ name, oid }) => tableKey(name) === key || oid === relation.oid,
  )
  const isFull = relation.identity === 'full' && tables.every(hasWholeLeaves)
  const isOfIdentity = (column: Column) => (relation.identity === 'full' ? isFull : column.inKey)
  return {
    isFull,
    entities: mapping
      .filter(entity => isMeant(entity.table))
      .map(entity => ({
        entity,
        keyIndex: indexOf(entity.key),
        identity: relation.columns.flatMap((column, i) =>
          isOfIdentity(column) && column.name !== entity.key ? [i] : [],
        ),
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

/**
 * Folds one transaction's changes by entity, in the order in which the entities were first changed. A TRUNCATE deletes
 * those that came before it; of all others the WAL says nothing. `onTruncate` hears of each table, and of its entities.
 */
export function foldPart(
  part: TransactionPart,
  planOf: (relation: Relation) => Plan,
  onTruncate: (table: string, entities: readonly EntityMapping[]) => void,
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
        step(entity, oldKey, relation, { kind: 'delete', old: knownBefore(change, plan, identity) })
      else if (typeof oldKey === 'string' && oldKey !== key) {
        // Another key is another entity: the old one is gone, the new one is new.
        step(entity, oldKey, relation, { kind: 'delete', old: knownBefore(change, plan, identity) })
        step(entity, key, relation, { kind: 'insert', row: filled(change, plan) })
      } else
        step(entity, key, relation, {
          kind: 'update',
          row: filled(change, plan),
          old: knownBefore(change, plan, identity),
        })
    }
    for (const { entity, field, ownerIndex, shown } of plan.owners) {
      if (!entity.sendsUnchanged && change.kind === 'update' && isKnownUnchanged(change, plan, shown))
        continue
      for (const owner of new Set([old?.[ownerIndex], row?.[ownerIndex]]))
        if (typeof owner === 'string') step(entity, owner, null, { kind: 'touch', field })
    }
  }

  function truncate(relation: Relation) {
    const entities = planOf(relation).entities.map(({ entity }) => entity)
    for (const item of touched.values())
      if (item.key !== null && entities.includes(item.entity))
        item.folded = fold(item.folded, { kind: 'delete', old: null })
    onTruncate(tableKey(relation), entities)
  }

  for (const change of part.changes)
    if (change.kind === 'truncate') change.relations.forEach(truncate)
    else take(change)
  return [...touched.values()].filter(({ folded }) => folded.state !== 'nothing')
}

const hasWholeLeaves = ({ leaves }: Table) => leaves.every(({ identity }) => identity === 'f')

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
  { row, old }: Change & { kind: 'update' },
  { isFull }: Plan,
  shown: readonly number[] | null,
): boolean {
  if (!isFull || old === null || shown === null) return false
  return shown.every(i => row[i] === unchanged || row[i] === old[i])
}

/** Fills values that the UPDATE left alone from the row before, which only identity FULL gives whole. */
function filled({ row, old }: Change & { kind: 'update' }, { isFull }: Plan): Row {
  if (!isFull || old === null || !row.includes(unchanged)) return row
  return row.map((value, i) => (value === unchanged ? old[i]! : value))
}

/**
 * What the WAL says of the row before: all of it with identity FULL, else the columns of the identity, which an
 * UPDATE that gives no old row has left as they were. Null where that is nothing beside the key.
 */
function knownBefore(
  change: Change & { kind: 'update' | 'delete' },
  { isFull }: Plan,
  identity: readonly number[],
): Row | null {
  const { relation, old } = change
  if (isFull) return old
  if (identity.length === 0) return null
  const from = old ?? (change.kind === 'update' ? change.row : [])
  return relation.columns.map((_, i) => (identity.includes(i) ? from[i]! : unchanged))
}
