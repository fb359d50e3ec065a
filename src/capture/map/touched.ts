import {
  type Change,
  type Column,
  isKnown,
  type Relation,
  type Row,
  unchanged,
  type Value,
} from '../../domain/capture/change.ts'
import { type Folded, fold, forgetRows, type IsSameRow, type Step } from '../../domain/capture/fold.ts'
import { type Replaced, replace } from '../../domain/capture/replaced-rows.ts'
import {
  type EntityMapping,
  type RelatedList,
  shownRows,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import { filterColumns } from '../../domain/mapping/row-filter.ts'
import type { Arrivals } from '../continuity/arrivals.ts'
import type { Catalogue, Table } from '../source/catalogue.ts'
import type { TransactionPart } from '../stream/batch.ts'
import { judgeOf, knownBefore, listColumns, type OwnerPlan, ownersOf } from './owners.ts'
import { namedOf, tellColumns } from './told-columns.ts'
import { twice } from './twice.ts'

/** An entity that a transaction changed, on the way to its event. */
export type Touched = {
  readonly entity: EntityMapping
  /** Null where the row came without it. */
  readonly key: string | null
  readonly part: TransactionPart
  folded: Folded
  relation: Relation | null
  /** Why nothing but the table is known of it, or null. */
  readonly problem: string | null
  /** The table of the row that has this problem, by its key (`tableKey`). */
  readonly problemOf: string | null
  /** A `delete` that may be of another row: an earlier chunk of its transaction brought a row with this key. */
  mayRemain: boolean
  /** By related field: what the transaction did to its rows. */
  readonly replaced: Map<string, Replaced>
}

/** What a relation of the stream means for the mapping. */
export type Plan = {
  /** Whether an old row is a whole one. A partition may have another identity than the table it is told as. */
  readonly isFull: boolean
  readonly entities: readonly {
    readonly entity: EntityMapping
    /** The relation with its columns under the names by which the mapping means them. */
    readonly told: Relation
    /** -1: the key is not among the columns. */
    readonly keyIndex: number
    /** The places of the replica identity's columns beside the key: of these the row before is always known. */
    readonly identity: readonly number[]
    /** Absent where the key alone tells rows apart. */
    readonly isSameRow: IsSameRow | undefined
  }[]
  readonly owners: readonly OwnerPlan[]
}

/** A table is the mapped one by its name when the change was made, or, renamed meanwhile, by its OID. */
export function makePlan(relation: Relation, mapping: readonly EntityMapping[], catalogue: Catalogue): Plan {
  const key = tableKey(relation)
  const isMeant = (table: TableName) =>
    tableKey(table) === key || catalogue.tables.get(tableKey(table))?.oid === relation.oid
  const indexIn = ({ columns }: Relation, column: string) => columns.findIndex(({ name }) => name === column)
  const shownBy = (told: Relation, list: RelatedList) => {
    const { table, owner, columns, key } = list
    // The order of the items is by what the mapping asks for, then by primary key.
    const asked = (list.order ?? []).map(({ column }) => column)
    const order = [...asked, ...(catalogue.tables.get(tableKey(table))?.primaryKey ?? [])]
    const shown = [owner, ...(key === undefined ? [] : [key]), ...columns, ...order]
    const places = shown.map(column => indexIn(told, column))
    return places.includes(-1) ? null : places
  }
  const tables = [...catalogue.tables.values()].filter(
    ({ name, oid }) => tableKey(name) === key || oid === relation.oid,
  )
  const isFull = relation.identity === 'full' && tables.every(hasWholeLeaves)
  const isOfIdentity = (column: Column) => (relation.identity === 'full' ? isFull : column.inKey)
  const placesBeside = (key: number, isMeant: (column: Column) => boolean) =>
    relation.columns.flatMap((column, i) => (isMeant(column) && i !== key ? [i] : []))
  return {
    isFull,
    entities: mapping
      .filter(entity => isMeant(entity.table))
      .map(entity => {
        const told = tellColumns(relation, namedOf(entity), catalogue)
        const keyIndex = keyIn(told, entity.key)
        const identity = placesBeside(keyIndex, isOfIdentity)
        const apart = placesBeside(keyIndex, column => relation.identity === 'full' || column.inKey)
        const isSameRow = apart.length === 0 ? undefined : sameAt(apart, isFull)
        return { entity, told, keyIndex, identity, isSameRow }
      }),
    owners: mapping.flatMap(entity =>
      entity.related
        .filter(({ table }) => isMeant(table))
        .flatMap(list => {
          const order = (list.order ?? []).map(({ column }) => column)
          const key = list.key === undefined ? [] : [list.key]
          const more = [list.owner, ...key, ...list.columns, ...order, ...filterColumns(shownRows(list))]
          const told = tellColumns(relation, { table: list.table, rules: {}, more }, catalogue)
          const ownerIndex = indexIn(told, list.owner)
          const identity = placesBeside(-1, isOfIdentity)
          const shown = shownBy(told, list)
          const judge = judgeOf(told, list, catalogue)
          const columns = listColumns(told, list, catalogue)
          const owner = { entity, field: list.field, ownerIndex, shown, identity, judge, columns }
          // Where the table has no such column any more, there is no list to tell of.
          return ownerIndex < 0 ? [] : [owner]
        }),
    ),
  }
}

/**
 * Where a relation has an entity's key: under its name, or, where it has no column of that name, as the one column that
 * tells its rows apart: a key may have been renamed since.
 */
export function keyIn({ columns, identity }: Relation, key: string): number {
  const named = columns.findIndex(({ name }) => name === key)
  if (named >= 0 || identity === 'full') return named
  const inKey = columns.flatMap((column, i) => (column.inKey ? [i] : []))
  return inKey.length === 1 ? inKey[0]! : -1
}

/**
 * Folds one transaction's changes by entity, in the order in which the entities were first changed. A TRUNCATE deletes
 * those that came before it; of all others the WAL says nothing. `onTruncate` hears of each table, and of its entities.
 */
export function foldPart(
  part: TransactionPart,
  planOf: (relation: Relation) => Plan,
  onTruncate: (table: string, entities: readonly EntityMapping[]) => void,
  arrivals: Arrivals | null = null,
): Touched[] {
  const touched = new Map<string, Touched>()
  // A TRUNCATE takes rows out of lists that nothing names.
  const isTruncated = part.changes.some(({ kind }) => kind === 'truncate')

  function step(
    entity: EntityMapping,
    key: Value | undefined,
    relation: Relation | null,
    by: Step,
    isSameRow?: IsSameRow,
  ): Touched {
    const isKeyed = typeof key === 'string'
    // Rows without a key can't be told apart: each stands for itself.
    const id = isKeyed ? `${entity.entityType}\n${key}` : `${touched.size}`
    const earlier = touched.get(id)
    if (earlier) {
      const isOfOtherColumns = relation && earlier.relation && !haveSameColumns(relation, earlier.relation)
      earlier.folded = fold(isOfOtherColumns ? forgetRows(earlier.folded) : earlier.folded, by, isSameRow)
      earlier.relation = relation ?? earlier.relation
      return earlier
    }
    const folded = fold(undefined, by, isSameRow)
    const named = { entity, key: isKeyed ? key : null, part, folded, relation, replaced: new Map() }
    const item: Touched = { ...nothingKnown, ...named }
    touched.set(id, item)
    return item
  }

  /** A row of which nothing can be read is set aside, for each type of entity that it may concern. */
  function setAside({ relation, actionType, because }: Change & { kind: 'unreadable' }) {
    const { entities, owners } = planOf(relation)
    const add = (entity: EntityMapping, state: Folded['state']) =>
      touched.set(`${touched.size}`, {
        ...nothingKnown,
        ...{ entity, part, replaced: new Map() },
        folded: { ...fold(undefined, { kind: 'touch', field: '' }), state },
        problem: `a row of ${tableKey(relation)}: ${because}`,
        problemOf: tableKey(relation),
      })
    for (const { entity } of entities) add(entity, actionType)
    for (const entity of new Set(owners.map(owner => owner.entity))) add(entity, 'update')
  }

  function take(change: Exclude<Change, { kind: 'truncate' | 'unreadable' }>) {
    const { relation } = change
    const plan = planOf(relation)
    const row = change.kind === 'delete' ? null : change.kind === 'update' ? filled(change) : change.row
    const old = change.kind === 'insert' ? null : change.old
    for (const { entity, told, keyIndex, identity, isSameRow } of plan.entities) {
      const key = row?.[keyIndex]
      const oldKey = old?.[keyIndex]
      const before = change.kind === 'insert' ? null : knownBefore(change, plan.isFull, identity)
      const isMoved = typeof oldKey === 'string' && oldKey !== key
      // Another key is another entity: the old one is gone, the new one is new.
      if (row === null || isMoved) step(entity, oldKey, told, { kind: 'delete', old: before }, isSameRow)
      if (row === null) continue
      if (change.kind === 'insert' || isMoved) step(entity, key, told, { kind: 'insert', row }, isSameRow)
      else step(entity, key, told, { kind: 'update', row, old: before, identity: old }, isSameRow)
    }
    for (const owner of plan.owners)
      for (const [key, by] of ownersOf(change, { row, isFull: plan.isFull, owner })) {
        const { entity, field, columns } = owner
        const { replaced } = step(entity, key, null, { kind: 'touch', field })
        if (!entity.sendsUnchanged)
          replaced.set(field, replace(replaced.get(field), by, isTruncated ? null : columns))
      }
  }

  function truncate(relation: Relation) {
    const entities = planOf(relation).entities.map(({ entity }) => entity)
    for (const item of touched.values())
      if (item.key !== null && entities.includes(item.entity) && isThere(item.folded))
        item.folded = fold(item.folded, { kind: 'delete', old: null })
    onTruncate(tableKey(relation), entities)
  }

  for (const change of part.changes)
    if (change.kind === 'truncate') change.relations.forEach(truncate)
    else if (change.kind === 'unreadable') setAside(change)
    else take(change)
  if (arrivals)
    for (const [id, item] of touched) {
      item.mayRemain = item.folded.state === 'delete' && arrivals.has(id)
      if (item.folded.present.length > 0) arrivals.add(id)
    }
  return [...touched.values()].filter(({ folded }) => folded.state !== 'nothing')
}

/** The same; changes that can't be folded are set aside, each for itself. Throws where even that fails. */
export function foldWhatCanBe(
  ...[part, planOf, onTruncate, arrivals]: Parameters<typeof foldPart>
): Touched[] {
  const silent = () => {}
  const isFoldable = (change: Change) =>
    change.kind === 'truncate' || twice(() => foldPart({ ...part, changes: [change] }, planOf, silent)).ok
  const whole = twice(() => {
    const truncated: Parameters<typeof onTruncate>[] = []
    const touched = foldPart(part, planOf, (...heard) => truncated.push(heard), arrivals)
    return { touched, truncated }
  })
  if (whole.ok) {
    for (const heard of whole.value.truncated) onTruncate(...heard)
    return whole.value.touched
  }
  const changes = part.changes.map(change =>
    isFoldable(change) ? change : unreadableOf(change, whole.because),
  )
  return foldPart({ ...part, changes }, planOf, onTruncate, arrivals).map(item => ({ ...item, part }))
}

function unreadableOf(change: Change, because: string): Change {
  if (change.kind === 'truncate' || change.kind === 'unreadable') return change
  const actionType = ({ insert: 'new', update: 'update', delete: 'delete' } as const)[change.kind]
  return {
    kind: 'unreadable',
    relation: change.relation,
    actionType,
    because: `it can not be told: ${because}`,
  }
}

const nothingKnown = { key: null, relation: null, problem: null, problemOf: null, mayRemain: false }

const hasWholeLeaves = ({ leaves }: Table) => leaves.every(({ identity }) => identity === 'f')

/** Whether the entity may have a row at this moment of the transaction. */
const isThere = ({ before, present }: Folded) => before === 'untouched' || present.length > 0

/** False where a statement in between has changed the columns: then a place in one row says nothing of the other. */
function haveSameColumns(a: Relation, b: Relation): boolean {
  if (a === b) return true
  const isSame = ({ name, typeOid }: Column, i: number) =>
    name === b.columns[i]?.name && typeOid === b.columns[i].typeOid
  return a.columns.length === b.columns.length && a.columns.every(isSame)
}

/**
 * What is not known of either row is no difference: a partition may have another identity than its table, and then the
 * null of an old row (`isFull` is false) is no value.
 */
function sameAt(places: readonly number[], isNullKnown: boolean): IsSameRow {
  const isUnknown = (value: Value) => !isKnown(value) || (value === null && !isNullKnown)
  return (old, present) =>
    places.every(i => old[i] === present[i] || isUnknown(old[i]!) || !isKnown(present[i]!))
}

/**
 * Fills values that the UPDATE left alone from what is known of the row before: all of it with identity FULL, else the
 * identity's columns, which Postgres repeats where it keeps them out of line. No value that it left out is null.
 */
function filled({ row, old }: Change & { kind: 'update' }): Row {
  if (old === null || !row.includes(unchanged)) return row
  return row.map((value, i) => (value === unchanged && typeof old[i] === 'string' ? old[i] : value))
}
