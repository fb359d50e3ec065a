import { type Change, type Column, type Relation, type Row, unchanged, type Value } from '../domain/change.ts'
import { type ParkedChange, type WebhookEvent, writeBody } from '../domain/event.ts'
import { type Folded, fold, type Step } from '../domain/fold.ts'
import {
  chooseFields,
  type EntityMapping,
  type RelatedList,
  type TableName,
  tableKey,
} from '../domain/mapping.ts'
import type { Catalogue } from './catalogue.ts'
import type { TransactionPart } from './inbox.ts'
import { readRelated, readRows } from './read-back.ts'
import { createResultWriter, type ShapedRow } from './result.ts'
import { createShapes, type Shapes } from './shape.ts'
import type { Source } from './source.ts'

/** An entity that a transaction changed, on the way to its event. */
type Touched = {
  readonly entity: EntityMapping
  /** Null where the row came without it. */
  readonly key: string | null
  readonly part: TransactionPart
  folded: Folded
  relation: Relation | null
}

/** What a relation of the stream means for the mapping. */
type Plan = {
  readonly entities: readonly {
    readonly entity: EntityMapping
    readonly keyIndex: number
    /** The places of the columns that are shown, as far as can be told: an update that changes none of them says nothing. */
    readonly shown: readonly number[]
  }[]
  readonly owners: readonly { readonly entity: EntityMapping; readonly ownerIndex: number }[]
}

export type Mapped = {
  /** In commit order. `index` counts from 0 within the part of the transaction that was given. */
  readonly events: readonly WebhookEvent[]
  readonly parked: readonly ParkedChange[]
  readonly truncated: readonly string[]
}

/**
 * Makes events of transactions: finds the entities that their changes concern, folds what each transaction did
 * to each, and writes the JSON. What the WAL does not hold (related rows, TOASTed values that an UPDATE left
 * alone) is read from the source, with one query per table for all transactions given together.
 */
export function createMapper(options: {
  source: Source
  mapping: readonly EntityMapping[]
  catalogue: Catalogue
  /** Called when the stream announces relations that were not known yet, as it does after each DDL. */
  reloadCatalogue: () => Promise<Catalogue>
}) {
  const { source, mapping } = options
  let { catalogue } = options
  let writeResult = createResultWriter(catalogue)
  let shapes = createShapes(catalogue)
  let plans = new WeakMap<Relation, Plan>()
  const known = new WeakSet<Relation>()

  function planOf(relation: Relation): Plan {
    const known = plans.get(relation)
    if (known) return known
    const plan = makePlan(relation, mapping, catalogue)
    plans.set(relation, plan)
    return plan
  }

  /** The stream announces a relation again after each DDL: there may be new columns and types. */
  async function learn(parts: readonly TransactionPart[]) {
    let isNew = false
    for (const { changes } of parts)
      for (const change of changes)
        if (change.kind !== 'truncate' && !known.has(change.relation)) {
          known.add(change.relation)
          isNew = true
        }
    if (!isNew) return
    catalogue = await options.reloadCatalogue()
    writeResult = createResultWriter(catalogue)
    shapes = createShapes(catalogue)
    plans = new WeakMap()
  }

  function writeEvent(item: Touched, rows: Rows, related: Related): EventText | null {
    const { entity, key, folded } = item
    if (folded.state === 'nothing' || key === null) return null
    const isDelete = folded.state === 'delete'
    const row = isDelete ? null : rowOf(item, shapes, rows.get(entity)?.get(key))
    // Already gone: its `delete` comes with a later transaction.
    if (!isDelete && row === null) return null
    const body = writeBody({
      entityIdJson: writeEntityId(catalogue, entity, key),
      entityType: entity.entityType,
      actionType: folded.state,
      resultJson: row && writeResult(entity, row, list => related.get(list)?.get(key)),
    })
    return { entityType: entity.entityType, entityId: key, actionType: folded.state, body }
  }

  return async (parts: readonly TransactionPart[]): Promise<Mapped> => {
    const truncated: string[] = []
    await learn(parts)
    const touched = parts.flatMap(part => foldPart(part, planOf, table => truncated.push(table)))
    const rows = await readMissing(source, catalogue, shapes, touched)
    const related = await readAllRelated(source, catalogue, touched)

    const events: WebhookEvent[] = []
    const parked: ParkedChange[] = []
    let last: TransactionPart | null = null
    let index = 0
    for (const item of touched) {
      if (item.part !== last) index = 0
      last = item.part
      const { commitLsn, committedAt } = item.part
      const reason = cannotBeEvent(item)
      if (reason === null) {
        const event = writeEvent(item, rows, related)
        if (event) events.push({ ...event, commitLsn, committedAt, index: index++ })
      } else if (item.folded.state !== 'nothing') {
        const entityId = item.key?.slice(0, maxShownKey) ?? null
        const { entityType } = item.entity
        parked.push({
          entityType,
          entityId,
          actionType: item.folded.state,
          reason,
          commitLsn,
          index: index++,
        })
      }
    }
    return { events, parked, truncated }
  }
}

/** Beyond this many bytes a key may not fit into an index entry, of which Postgres allows about 2,700. */
const maxKeyBytes = 1_024
const maxShownKey = 200

/** Why no event can be made of a change, or null. */
function cannotBeEvent({ key, entity }: Touched): string | null {
  if (key === null) return `a row of ${tableKey(entity.table)} came without its key ${entity.key}`
  if (Buffer.byteLength(key) > maxKeyBytes)
    return `the key ${entity.key} has ${Buffer.byteLength(key)} bytes, and an entity_id may have ${maxKeyBytes}`
  return null
}

type EventText = Pick<WebhookEvent, 'entityType' | 'entityId' | 'actionType' | 'body'>

/** A table is the mapped one by its name when the change was made, or, renamed meanwhile, by its OID. */
function makePlan(relation: Relation, mapping: readonly EntityMapping[], catalogue: Catalogue): Plan {
  const key = tableKey(relation)
  const isMeant = (table: TableName) =>
    tableKey(table) === key || catalogue.tables.get(tableKey(table))?.oid === relation.oid
  const indexOf = (column: string) => {
    const index = relation.columns.findIndex(({ name }) => name === column)
    if (index < 0) throw new Error(`${key} no longer has the column ${column} that the mapping names`)
    return index
  }
  const names = relation.columns.map(({ name }) => name)
  const shownColumns = (entity: EntityMapping) => {
    const table = catalogue.tables.get(tableKey(entity.table))
    // What Postgres generates may show any of the columns, also one that is not sent.
    const hasGenerated = table?.columns.some(({ name, isGenerated }) => isGenerated && !names.includes(name))
    return hasGenerated ? names : [...chooseFields(entity.fields, names).fields.keys()]
  }
  return {
    entities: mapping
      .filter(entity => isMeant(entity.table))
      .map(entity => ({
        entity,
        keyIndex: indexOf(entity.key),
        shown: shownColumns(entity).map(indexOf),
      })),
    owners: mapping.flatMap(entity =>
      entity.related
        .filter(({ table }) => isMeant(table))
        .map(({ owner }) => ({ entity, ownerIndex: indexOf(owner) })),
    ),
  }
}

/** Folds one transaction's changes by entity, in the order in which the entities were first changed. */
function foldPart(
  part: TransactionPart,
  planOf: (relation: Relation) => Plan,
  onTruncate: (table: string) => void,
): Touched[] {
  const touched = new Map<string, Touched>()

  function step(entity: EntityMapping, key: Value | undefined, relation: Relation | null, by: Step) {
    const isKeyed = typeof key === 'string'
    // Rows without a key can't be told apart: each stands for itself.
    const id = isKeyed ? `${entity.entityType}\n${key}` : `${touched.size}`
    const before = touched.get(id)
    if (before) {
      const isOfOtherColumns = relation && before.relation && !haveSameColumns(relation, before.relation)
      before.folded = fold(isOfOtherColumns ? { ...before.folded, row: null } : before.folded, by)
      before.relation = relation ?? before.relation
    } else touched.set(id, { entity, key: isKeyed ? key : null, part, folded: fold(undefined, by), relation })
  }

  function take(change: Exclude<Change, { kind: 'truncate' }>) {
    const { relation } = change
    const plan = planOf(relation)
    const row = change.kind === 'delete' ? null : change.row
    const old = change.kind === 'insert' ? null : change.old
    for (const { entity, keyIndex, shown } of plan.entities) {
      const key = row?.[keyIndex]
      const oldKey = old?.[keyIndex]
      if (change.kind === 'delete') step(entity, oldKey, relation, { kind: 'delete' })
      else if (change.kind === 'insert') step(entity, key, relation, { kind: 'insert', row: change.row })
      else if (typeof oldKey === 'string' && oldKey !== key) {
        // Another key is another entity: the old one is gone, the new one is new.
        step(entity, oldKey, relation, { kind: 'delete' })
        step(entity, key, relation, { kind: 'insert', row: filled(change) })
      } else if (entity.sendsUnchanged || !isKnownUnchanged(change, shown))
        step(entity, key, relation, { kind: 'update', row: filled(change) })
    }
    for (const { entity, ownerIndex } of plan.owners)
      for (const owner of new Set([old?.[ownerIndex], row?.[ownerIndex]]))
        if (typeof owner === 'string') step(entity, owner, null, { kind: 'touch' })
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

/** With identity FULL the old row shows that an UPDATE changed nothing that is sent. */
function isKnownUnchanged(
  { relation, row, old }: Change & { kind: 'update' },
  shown: readonly number[],
): boolean {
  if (relation.identity !== 'full' || old === null) return false
  return shown.every(i => row[i] === unchanged || row[i] === old[i])
}

/** Fills values that the UPDATE left alone from the row before, which only identity FULL gives whole. */
function filled({ relation, row, old }: Change & { kind: 'update' }): Row {
  if (relation.identity !== 'full' || old === null || !row.includes(unchanged)) return row
  return row.map((value, i) => (value === unchanged ? old[i]! : value))
}

type Rows = ReadonlyMap<EntityMapping, ReadonlyMap<string, ShapedRow>>

/** Reads the rows that a change of a related row does not carry, and those with values that the WAL leaves out. */
async function readMissing(
  source: Source,
  catalogue: Catalogue,
  shapes: Shapes,
  touched: readonly Touched[],
): Promise<Rows> {
  const isIncomplete = ({ folded: { row }, relation }: Touched) =>
    row === null || relation === null || row.includes(unchanged) || shapes.of(relation).hasGenerated
  const needed = touched.filter(item => item.folded.state !== 'delete' && isIncomplete(item))
  const rows = new Map<EntityMapping, ReadonlyMap<string, ShapedRow>>()
  for (const [entity, items] of Map.groupBy(needed, item => item.entity))
    rows.set(entity, await readRows(source.pool, catalogue, entity, keysOf(items)))
  return rows
}

function keysOf(items: readonly Touched[]): string[] {
  return [...new Set(items.flatMap(({ key }) => key ?? []))]
}

type Related = ReadonlyMap<RelatedList, ReadonlyMap<string, string>>

async function readAllRelated(
  source: Source,
  catalogue: Catalogue,
  touched: readonly Touched[],
): Promise<Related> {
  const present = touched.filter(({ folded }) => folded.state !== 'delete')
  const lists = new Map<RelatedList, ReadonlyMap<string, string>>()
  for (const [entity, items] of Map.groupBy(present, item => item.entity)) {
    const owners = keysOf(items)
    for (const related of entity.related)
      lists.set(related, await readRelated(source.pool, catalogue, related, owners))
  }
  return lists
}

/** The row to show: the WAL's, with what it leaves out taken from the table, or the table's; null when it is gone. */
function rowOf(
  { folded: { row }, relation }: Touched,
  shapes: Shapes,
  present: ShapedRow | undefined,
): ShapedRow | null {
  if (row === null || relation === null) return present ?? null
  const { shape, places, hasGenerated } = shapes.of(relation)
  if (!hasGenerated && !row.includes(unchanged)) return { shape, values: row }
  const now = new Map<string, Value>(present?.shape.map(({ name }, i) => [name, present.values[i]!]))
  const values = places.map((place, i) => {
    const value = place === null ? unchanged : row[place]!
    const { name } = shape[i]!
    return value === unchanged && now.has(name) ? now.get(name)! : value
  })
  return { shape, values }
}

/** `entity_id` as JSON: a number where the key is an integer. */
export function writeEntityId(catalogue: Catalogue, entity: EntityMapping, key: string): string {
  const column = catalogue.tables.get(tableKey(entity.table))?.columns.find(({ name }) => name === entity.key)
  return column && catalogue.isInteger(column.typeOid) ? key : JSON.stringify(key)
}
