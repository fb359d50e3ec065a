import { type Change, type Relation, type Row, unchanged, type Value } from '../domain/change.ts'
import { type WebhookEvent, writeBody } from '../domain/event.ts'
import { type Folded, fold, type Step } from '../domain/fold.ts'
import { type EntityMapping, type RelatedList, tableKey } from '../domain/mapping.ts'
import type { Catalogue } from './catalogue.ts'
import type { TransactionPart } from './inbox.ts'
import { readRelated, readRows } from './read-back.ts'
import { createResultWriter, type ShapedRow } from './result.ts'
import { createShapes, type Shapes } from './shape.ts'
import type { Source } from './source.ts'

/** An entity that a transaction changed, on the way to its event. */
type Touched = {
  readonly entity: EntityMapping
  readonly key: string
  readonly part: TransactionPart
  folded: Folded
  relation: Relation | null
}

/** What a relation of the stream means for the mapping. */
type Plan = {
  readonly entities: readonly { readonly entity: EntityMapping; readonly keyIndex: number }[]
  readonly owners: readonly { readonly entity: EntityMapping; readonly ownerIndex: number }[]
}

export type Mapped = {
  /** In commit order. `index` counts from 0 within the part of the transaction that was given. */
  readonly events: readonly WebhookEvent[]
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
  reloadCatalogue: () => Promise<Catalogue>
}) {
  const { source, mapping } = options
  let { catalogue } = options
  let writeResult = createResultWriter(catalogue)
  let shapes = createShapes(catalogue)
  const plans = new WeakMap<Relation, Plan>()
  const known = new WeakSet<Relation>()

  function planOf(relation: Relation): Plan {
    const known = plans.get(relation)
    if (known) return known
    const plan = makePlan(relation, mapping)
    plans.set(relation, plan)
    return plan
  }

  /** The stream announces a relation again after each DDL: there may be new columns and types. */
  async function learn(relations: readonly (Relation | null)[]) {
    const unknown = relations.filter(relation => relation !== null && !known.has(relation))
    if (unknown.length === 0) return
    for (const relation of unknown) known.add(relation!)
    catalogue = await options.reloadCatalogue()
    writeResult = createResultWriter(catalogue)
    shapes = createShapes(catalogue)
  }

  function writeEvent(item: Touched, rows: Rows, related: Related): EventText | null {
    const { entity, key, folded } = item
    if (folded.state === 'nothing') return null
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
    const touched = parts.flatMap(part => foldPart(part, planOf, table => truncated.push(table)))
    await learn(touched.map(({ relation }) => relation))
    const rows = await readMissing(source, catalogue, shapes, touched)
    const related = await readAllRelated(source, catalogue, touched)

    const events: WebhookEvent[] = []
    let last: TransactionPart | null = null
    let index = 0
    for (const item of touched) {
      const event = writeEvent(item, rows, related)
      if (!event) continue
      if (item.part !== last) index = 0
      last = item.part
      events.push({ ...event, commitLsn: last.commitLsn, committedAt: last.committedAt, index: index++ })
    }
    return { events, truncated }
  }
}

type EventText = Pick<WebhookEvent, 'entityType' | 'entityId' | 'actionType' | 'body'>

function makePlan(relation: Relation, mapping: readonly EntityMapping[]): Plan {
  const key = tableKey(relation)
  const indexOf = (column: string) => {
    const index = relation.columns.findIndex(({ name }) => name === column)
    if (index < 0) throw new Error(`${key} no longer has the column ${column} that the mapping names`)
    return index
  }
  return {
    entities: mapping
      .filter(entity => tableKey(entity.table) === key)
      .map(entity => ({ entity, keyIndex: indexOf(entity.key) })),
    owners: mapping.flatMap(entity =>
      entity.related
        .filter(({ table }) => tableKey(table) === key)
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
    if (typeof key !== 'string') throw new Error(`a row of ${tableKey(entity.table)} came without its key`)
    const id = `${entity.entityType}\n${key}`
    const before = touched.get(id)
    if (before) {
      before.folded = fold(before.folded, by)
      before.relation = relation ?? before.relation
    } else touched.set(id, { entity, key, part, folded: fold(undefined, by), relation })
  }

  function take(change: Exclude<Change, { kind: 'truncate' }>) {
    const { relation } = change
    const plan = planOf(relation)
    const row = change.kind === 'delete' ? null : change.row
    const old = change.kind === 'insert' ? null : change.old
    for (const { entity, keyIndex } of plan.entities) {
      const key = row?.[keyIndex]
      const oldKey = old?.[keyIndex]
      if (change.kind === 'delete') step(entity, oldKey, relation, { kind: 'delete' })
      else if (change.kind === 'insert') step(entity, key, relation, { kind: 'insert', row: change.row })
      else if (typeof oldKey === 'string' && oldKey !== key) {
        // Another key is another entity: the old one is gone, the new one is new.
        step(entity, oldKey, relation, { kind: 'delete' })
        step(entity, key, relation, { kind: 'insert', row: filled(change.row, old) })
      } else step(entity, key, relation, { kind: 'update', row: filled(change.row, old) })
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

/** Fills values that the UPDATE left alone from the row before, which identity FULL gives whole. */
function filled(row: Row, old: Row | null): Row {
  return old && row.includes(unchanged) ? row.map((value, i) => (value === unchanged ? old[i]! : value)) : row
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
    rows.set(entity, await readRows(source, catalogue, entity, [...new Set(items.map(({ key }) => key))]))
  return rows
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
    const owners = [...new Set(items.map(({ key }) => key))]
    for (const related of entity.related)
      lists.set(related, await readRelated(source, catalogue, related, owners))
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
