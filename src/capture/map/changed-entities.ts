import type { Change, Column, Relation } from '../../domain/capture/change.ts'
import { type Folded, fold, forgetRows, type IsSameRow, type Step } from '../../domain/capture/fold.ts'
import { type Replaced, replace } from '../../domain/capture/replaced-rows.ts'
import { idAt } from '../../domain/mapping/entity-key.ts'
import { type EntityMapping, tableKey } from '../../domain/mapping/mapping.ts'
import type { Arrivals } from '../continuity/arrivals.ts'
import type { Found } from '../related/found-owners.ts'
import { indirectValues, type Reach, reachesNobody } from '../related/indirect.ts'
import { knownBefore, type OwnerPlan, ownersOf, rowAfter } from '../related/owners.ts'
import type { TransactionPart } from '../stream/batch.ts'
import type { Plan } from './plan.ts'
import { tryTwice } from './try-twice.ts'

/** An entity changed by a transaction, on the way to its event. */
export type ChangedEntity = {
  readonly entity: EntityMapping
  /** Null: the row came without it. */
  readonly key: string | null
  readonly part: TransactionPart
  folded: Folded
  relation: Relation | null
  /** Why only the table is known, or null. */
  readonly problem: string | null
  /** The table (`tableKey`) of the row with this problem. */
  readonly problemOf: string | null
  /** A `delete` that may be of another row: an earlier chunk had a row with this key. */
  mayRemain: boolean
  /** By related field: the transaction's effect on its rows. */
  readonly replaced: Map<string, Replaced>
  /** Related fields that may have changed by a row of very many entities. */
  alsoChanged: readonly string[]
}

/** The entities that a transaction has changed so far, in order of their first change. */
function openChangedEntities(part: TransactionPart) {
  const items = new Map<string, ChangedEntity>()

  function step(
    entity: EntityMapping,
    key: string | null,
    relation: Relation | null,
    by: Step,
    isSameRow?: IsSameRow,
  ): ChangedEntity {
    // Rows without a key are indistinguishable: each counts alone.
    const id = key !== null ? `${entity.entityType}\n${key}` : `${items.size}`
    const earlier = items.get(id)
    if (earlier) {
      const isOfOtherColumns = relation && earlier.relation && !haveSameColumns(relation, earlier.relation)
      earlier.folded = fold(isOfOtherColumns ? forgetRows(earlier.folded) : earlier.folded, by, isSameRow)
      earlier.relation = relation ?? earlier.relation
      return earlier
    }
    const folded = fold(undefined, by, isSameRow)
    const named = { entity, key, part, folded, relation, replaced: new Map() }
    const item: ChangedEntity = { ...nothingKnown, ...named }
    items.set(id, item)
    return item
  }

  /** An unreadable row is parked for each entity type that it may concern. */
  function setAside(change: Change & { kind: 'unreadable' }, { entities, owners, indirect }: Plan) {
    const { relation, actionType, because } = change
    const add = (entity: EntityMapping, state: Folded['state']) =>
      items.set(`${items.size}`, {
        ...nothingKnown,
        ...{ entity, part, replaced: new Map() },
        folded: { ...fold(undefined, { kind: 'touch', field: '' }), state },
        problem: `a row of ${tableKey(relation)}: ${because}`,
        problemOf: tableKey(relation),
      })
    for (const { entity } of entities) add(entity, actionType)
    const all = [...owners, ...indirect]
    for (const entity of new Set(all.map(owner => owner.entity))) add(entity, 'update')
  }

  return { items, step, setAside }
}

/**
 * Folds a transaction's changes by entity, in order of their first change. A TRUNCATE deletes entities that came before it;
 * the WAL names no others. `onTruncate` gets each table with its entities.
 */
function foldPart(
  part: TransactionPart,
  planOf: (relation: Relation) => Plan,
  onTruncate: (table: string, entities: readonly EntityMapping[]) => void,
  arrivals: Arrivals | null = null,
  reach: Reach = reachesNobody,
): ChangedEntity[] {
  const { items, step, setAside } = openChangedEntities(part)
  const many: { readonly entity: EntityMapping; readonly field: string }[] = []
  // A TRUNCATE removes rows from lists without naming them.
  const isTruncated = part.changes.some(({ kind }) => kind === 'truncate')

  function take(change: Exclude<Change, { kind: 'truncate' | 'unreadable' }>) {
    const { relation } = change
    const plan = planOf(relation)
    const row = rowAfter(change)
    const old = change.kind === 'insert' ? null : change.old
    for (const { entity, mapped, keyIndexes, identity, isSameRow } of plan.entities) {
      const key = idAt(row, keyIndexes)
      const oldKey = idAt(old, keyIndexes)
      const before = change.kind === 'insert' ? null : knownBefore(change, plan.isFull, identity)
      const isMoved = oldKey !== null && oldKey !== key
      // Another key is another entity: the old one is gone, the new one is new.
      if (row === null || isMoved) step(entity, oldKey, mapped, { kind: 'delete', old: before }, isSameRow)
      if (row === null) continue
      if (change.kind === 'insert' || isMoved) step(entity, key, mapped, { kind: 'insert', row }, isSameRow)
      else step(entity, key, mapped, { kind: 'update', row, old: before, identity: old }, isSameRow)
    }
    for (const owner of plan.owners)
      for (const [key, by] of ownersOf(change, { row, isFull: plan.isFull, owner })) {
        const { entity, field, columns } = owner
        const { replaced } = step(entity, key, null, { kind: 'touch', field })
        if (!entity.sendsUnchanged)
          replaced.set(field, replace(replaced.get(field), by, isTruncated ? null : columns))
      }
    for (const { plan, values } of indirectValues(change, planOf(relation)))
      for (const value of values) addIndirect(plan, reach.of(plan, value))
  }

  function addIndirect({ entity, field }: OwnerPlan, owners: Found) {
    if (owners.isMore) many.push({ entity, field })
    for (const key of owners.keys)
      step(entity, key, null, { kind: 'touch', field }).replaced.set(field, notKnown)
  }

  function truncate(relation: Relation) {
    const entities = planOf(relation).entities.map(({ entity }) => entity)
    for (const item of items.values())
      if (item.key !== null && entities.includes(item.entity) && isThere(item.folded))
        item.folded = fold(item.folded, { kind: 'delete', old: null })
    onTruncate(tableKey(relation), entities)
  }

  for (const change of part.changes)
    if (change.kind === 'truncate') change.relations.forEach(truncate)
    else if (change.kind === 'unreadable') setAside(change, planOf(change.relation))
    else take(change)
  if (arrivals)
    for (const [id, item] of items) {
      item.mayRemain = item.folded.state === 'delete' && arrivals.has(id)
      if (item.folded.present.length > 0) arrivals.add(id)
    }
  for (const { entity, field } of many)
    for (const item of items.values())
      if (item.entity === entity) item.alsoChanged = [...item.alsoChanged, field]
  return [...items.values()].filter(({ folded }) => folded.state !== 'nothing')
}

/** Rows of an indirect list do not show its content. */
const notKnown: Replaced = { columns: null, isKnown: false, gone: new Map(), come: new Map() }

/** The same; changes that can't be folded are parked one by one. Throws if even that fails. */
export function foldReadable(
  ...[part, planOf, onTruncate, arrivals, reach]: Parameters<typeof foldPart>
): ChangedEntity[] {
  const silent = () => {}
  const isFoldable = (change: Change) =>
    change.kind === 'truncate' || tryTwice(() => foldPart({ ...part, changes: [change] }, planOf, silent)).ok
  const whole = tryTwice(() => {
    const truncated: Parameters<typeof onTruncate>[] = []
    const items = foldPart(part, planOf, (...heard) => truncated.push(heard), arrivals, reach)
    return { items, truncated }
  })
  if (whole.ok) {
    for (const heard of whole.value.truncated) onTruncate(...heard)
    return whole.value.items
  }
  const changes = part.changes.map(change =>
    isFoldable(change) ? change : unreadableOf(change, whole.because),
  )
  return foldPart({ ...part, changes }, planOf, onTruncate, arrivals, reach).map(item => ({ ...item, part }))
}

function unreadableOf(change: Change, because: string): Change {
  if (change.kind === 'truncate' || change.kind === 'unreadable') return change
  const actionType = ({ insert: 'new', update: 'update', delete: 'delete' } as const)[change.kind]
  return {
    kind: 'unreadable',
    relation: change.relation,
    actionType,
    because: `it cannot be sent: ${because}`,
  }
}

const nothingKnown = {
  ...{ key: null, relation: null, problem: null, problemOf: null, mayRemain: false },
  alsoChanged: [] as readonly string[],
}

/** Whether the entity may have a row at this point of the transaction. */
const isThere = ({ before, present }: Folded) => before === 'unmodified' || present.length > 0

/** False if a statement in between changed the columns: positions are not comparable then. */
function haveSameColumns(a: Relation, b: Relation): boolean {
  if (a === b) return true
  const isSame = ({ name, typeOid }: Column, i: number) =>
    name === b.columns[i]?.name && typeOid === b.columns[i].typeOid
  return a.columns.length === b.columns.length && a.columns.every(isSame)
}
