import { type Change, type Relation, unchanged } from '../../domain/capture/change.ts'
import type { FanOut } from '../../domain/capture/fan-out.ts'
import { isSameList } from '../../domain/capture/replaced-rows.ts'
import { type ParkedChange, type WebhookEvent, writeBody } from '../../domain/event/event.ts'
import { keyName } from '../../domain/mapping/entity-key.ts'
import { type EntityMapping, type RelatedList, tableKey } from '../../domain/mapping/mapping.ts'
import type { Lsn } from '../../domain/value/lsn.ts'
import { openArrivals } from '../continuity/arrivals.ts'
import { findReach, type Reach, reachesNobody } from '../related/behind.ts'
import type { Born } from '../related/born.ts'
import type { Catalogue } from '../source/catalogue.ts'
import type { Source } from '../source/source.ts'
import type { TransactionPart } from '../stream/batch.ts'
import { type ChangeFacts, createFactsFinder } from './facts.ts'
import { createMissingReader, type Missing } from './missing.ts'
import { makePlan, type Plan, placesOfKey } from './plan.ts'
import type { RelatedValue } from './read-back.ts'
import { createLastWriter, createResultWriter, type Result } from './result.ts'
import { createRowFilters, filtered, isShown } from './row-filters.ts'
import { createSetAside, type Unreadable } from './set-aside.ts'
import { createShapes } from './shape.ts'
import { isMoved, tenantsOf } from './tenants.ts'
import { foldWhatCanBe, type Touched } from './touched.ts'
import { twice } from './twice.ts'
import { withoutUnborn } from './unborn.ts'
import { untilSeen } from './visibility.ts'

export type Mapped = {
  /** In commit order. `index` counts from 0 within the part of the transaction that was given. */
  readonly events: readonly WebhookEvent[]
  readonly parked: readonly ParkedChange[]
  /** Tables of which so many changes in a row can't be told that they are not set aside one by one. */
  readonly unreadable: readonly Unreadable[]
  /** Tables that a TRUNCATE emptied. */
  readonly truncated: readonly string[]
  /** Of their entities those that the mapping wants deleted then. */
  readonly emptied: readonly Emptied[]
  /** Changed rows that so many entities show that these are told page by page. */
  readonly fanOuts: readonly FanOut[]
  /** Where the WAL ended when what the events tell was read from tables; null: nothing was. */
  readonly readLsn: Lsn | null
}

/** An entity as its events tell: of the last of them, whose it was. */
export type KnownEntity = { readonly entityId: string; readonly tenant: string | null }

/** A type of entity of which every one is gone, and how the event of that is written. */
export type Emptied = {
  readonly entityType: string
  deletionOf(known: KnownEntity): EventText
}

/**
 * Makes events of transactions: finds the entities that their changes concern, folds what each transaction did
 * to each, and writes the JSON. What the WAL does not hold (related rows, TOASTed values that an UPDATE left
 * alone) is read from the source (`missing.ts`).
 */
export function createMapper(options: {
  source: Source
  mapping: readonly EntityMapping[]
  /** Needed where related fields lead through other tables. */
  born?: Born | undefined
  catalogue: Catalogue
  /** Called when the stream announces relations that were not known yet, as it does after each DDL. */
  reloadCatalogue: () => Promise<Catalogue>
  /** The greatest `readLsn` of events that are stored. */
  readBefore: Lsn | null
  /** Tables of which changes are lost already because they can't be told. */
  unreadable?: Parameters<typeof createSetAside>[0]
  /** Aborted when the stream is over: what is still waited for is not. */
  signal?: AbortSignal
}) {
  const { mapping, born } = options
  const readMissing = createMissingReader(options)
  const setAside = createSetAside(options.unreadable ?? [])
  let { catalogue } = options
  let writeResult = createResultWriter(catalogue)
  let writeLast = createLastWriter(catalogue)
  let findFacts = createFactsFinder(catalogue)
  let shapes = createShapes(catalogue)
  let judgeRow = createRowFilters(catalogue)
  let plans = new WeakMap<Relation, Plan>()
  const known = new WeakSet<Relation>()
  const arrivals = openArrivals()

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
    await untilSeen(
      options.source.pool,
      parts.map(({ xid }) => xid),
      options.signal,
    )
    catalogue = await options.reloadCatalogue()
    writeResult = createResultWriter(catalogue)
    writeLast = createLastWriter(catalogue)
    findFacts = createFactsFinder(catalogue)
    shapes = createShapes(catalogue)
    judgeRow = createRowFilters(catalogue)
    plans = new WeakMap()
  }

  /** The entities that changed rows behind other tables concern. All that the stream has brought is seen then. */
  async function reachOf(parts: readonly TransactionPart[]): Promise<Reach> {
    if (!born) return reachesNobody
    for (const { xid, changes } of parts) if (changes.length > 0) born.note(xid)
    if (!parts.some(({ changes }) => changes.some(isBehind))) return reachesNobody
    await untilSeen(
      options.source.pool,
      parts.map(({ xid }) => xid),
      options.signal,
    )
    return await findReach(options.source.pool, catalogue, parts, planOf, born)
  }

  const isBehind = (change: Change) =>
    change.kind === 'truncate'
      ? change.relations.some(relation => planOf(relation).behind.length > 0)
      : planOf(change.relation).behind.length > 0

  function compare(named: Touched): Compared {
    const judged = twice(() => filtered(named, judgeRow))
    const item = judged.ok ? judged.value : { ...named, wasTold: 'unknown' as const }
    const found = twice(() => findFacts(item.entity, item.relation, item.folded))
    const facts = found.ok ? found.value : { previous: null, changed: null }
    // A row that may begin to match is told, whatever has changed of what is sent.
    const isSure = item.wasTold === 'yes' || item.folded.before === 'untouched'
    return { ...item, facts: isSure ? facts : { ...facts, changed: null } }
  }

  /** The same without the related fields that show after the transaction what they showed before. */
  function withoutSameLists(item: Compared, missing: Missing): Compared {
    const { entity, key, replaced, facts } = item
    const { changed } = facts
    if (entity.sendsUnchanged || changed === null || key === null || replaced.size === 0) return item
    const isSame = (list: RelatedList) => {
      // Of rows that lead to others it says nothing how many are shown.
      const read = list.through ? null : missing.relatedOf(list, key)
      return isSameList(replaced.get(list.field), read === null ? null : (read?.rows ?? 0))
    }
    const same = entity.related.filter(({ field }) => changed.includes(field)).filter(isSame)
    if (same.length === 0) return item
    const others = changed.filter(name => !same.some(({ field }) => field === name))
    return { ...item, facts: { ...facts, changed: others } }
  }

  /** What a `delete` tells of its row before, which the WAL gives whole or not at all; null: nothing. */
  function lastOf({ entity, folded: { before }, relation }: Compared): Result | null {
    if (entity.last === undefined || relation === null || typeof before === 'string') return null
    if (before.includes(unchanged)) return null
    const { shape, places } = shapes.of(relation)
    const values = places.map(place => (place === null ? unchanged : before[place]!))
    return writeLast(entity, { shape, values })
  }

  function writeEvent(item: Compared, missing: Missing): EventText | null {
    const { entity, key, folded, facts } = item
    if (folded.state === 'nothing' || key === null) return null
    const read = item.mayRemain ? missing.rowOf(item) : null
    const remaining = read && isShown(entity, read, judgeRow) ? read : null
    const state = remaining ? 'update' : folded.state
    const isDelete = state === 'delete'
    const row = isDelete ? null : (remaining ?? missing.rowOf(item))
    // Already gone, or not told any more: its `delete` comes with a later transaction.
    if (!isDelete && (row === null || !isShown(entity, row, judgeRow))) return null
    const of = tenantsOf(item, state, row)
    const result = row && writeResult(entity, row, list => jsonOf(missing.relatedOf(list, key)))
    const last = isDelete ? lastOf(item) : null
    const body = writeBody({
      entityIdJson: writeEntityId(catalogue, entity, key, keyTypeIn(item.relation, entity)),
      entityType: entity.entityType,
      actionType: state,
      resultJson: result?.json ?? null,
      lastJson: last?.json ?? null,
    })
    return {
      entityType: entity.entityType,
      entityId: key,
      actionType: state,
      body,
      facts: {
        ...facts,
        changed: withMore(facts.changed, item.alsoChanged),
        omitted: (result ?? last)?.omitted ?? null,
      },
      ...(of && { of }),
    }
  }

  /**
   * `isWhole`: the last part is not a chunk of a transaction of which more follows. Throws `TooMuch` where more than `mostBytes` would
   * have to be read from a table: then nothing has been done.
   */
  return async (
    parts: readonly TransactionPart[],
    isWhole = true,
    mostBytes = Number.POSITIVE_INFINITY,
  ): Promise<Mapped> => {
    const truncated: string[] = []
    const emptied: Emptied[] = []
    await learn(parts)
    const onTruncate = (table: string, entities: readonly EntityMapping[]) => {
      truncated.push(table)
      for (const entity of entities.filter(({ deletesOnTruncate }) => deletesOnTruncate))
        emptied.push({
          entityType: entity.entityType,
          deletionOf: known => writeDeletion(catalogue, entity, known),
        })
    }
    const reach = await reachOf(parts)
    const named = parts.flatMap(part =>
      foldWhatCanBe(part, planOf, onTruncate, arrivals.of(part.commitLsn, isWhole), reach),
    )
    const isToTell = (item: Compared) => item.entity.sendsUnchanged || !isKnownUnchanged(item)
    const changed = withoutUnborn(
      named.map(compare).filter(({ folded }) => folded.state !== 'nothing'),
    ).filter(isToTell)
    const missing = await readMissing(parts, changed, { catalogue, shapes, mostBytes })
    const touched = changed.map(item => withoutSameLists(item, missing)).filter(isToTell)

    setAside.begin(parts)
    const events: WebhookEvent[] = []
    const parked: ParkedChange[] = []
    let last: TransactionPart | null = null
    let index = 0
    for (const item of touched) {
      if (item.part !== last) index = 0
      last = item.part
      const { commitLsn, committedAt } = item.part
      const written = twice(() => (cannotBeEvent(item) === null ? writeEvent(item, missing) : null))
      const reason = written.ok ? cannotBeEvent(item) : `its event can not be written: ${written.because}`
      if (reason === null) {
        const event = written.ok && written.value
        if (event) events.push({ ...event, commitLsn, committedAt, index: index++ })
        if (event && event.actionType !== 'delete') setAside.told(item, missing.isReadBack(item))
      } else if (
        item.folded.state !== 'nothing' &&
        !setAside.isLost(item, missing.isReadBack(item), reason)
      ) {
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
    const { readLsn } = missing
    const { fanOuts } = reach
    return { events, parked, unreadable: setAside.lost(), truncated, emptied, readLsn, fanOuts }
  }
}

const withMore = (changed: readonly string[] | null, more: readonly string[]) =>
  changed === null || more.length === 0 ? changed : [...new Set([...changed, ...more])]

const jsonOf = (read: RelatedValue | null | undefined) => (read ? read.json : read)

type Compared = Touched & { readonly facts: ChangeFacts }

/** True of an update that, as far as is known, changed nothing that is sent, nor to whom. */
function isKnownUnchanged(item: Compared): boolean {
  return item.folded.state === 'update' && item.facts.changed?.length === 0 && !isMoved(item)
}

/** Beyond this many bytes a key may not fit into an index entry, of which Postgres allows about 2,700. */
const maxKeyBytes = 1_024
export const maxShownKey = 200

/** Why no event can be made of a change, or null. */
export function cannotBeEvent({
  key,
  entity,
  problem = null,
}: Pick<Touched, 'key' | 'entity'> & Partial<Pick<Touched, 'problem'>>): string | null {
  if (problem !== null) return problem
  if (key === null) return `a row of ${tableKey(entity.table)} came without its key ${keyName(entity.key)}`
  if (Buffer.byteLength(key) > maxKeyBytes)
    return `the key ${keyName(entity.key)} has ${Buffer.byteLength(key)} bytes, and an entity_id may have ${maxKeyBytes}`
  return null
}

export type EventText = Pick<WebhookEvent, 'entityType' | 'entityId' | 'actionType' | 'body' | 'facts' | 'of'>

/** `entity_id` as JSON: a number where the key is one integer; by its type in the WAL where it is known from there. */
export function writeEntityId(
  catalogue: Catalogue,
  { table, key: name }: EntityMapping,
  key: string,
  typeOid = catalogue.tables.get(tableKey(table))?.columns.find(column => column.name === name)?.typeOid,
): string {
  if (typeof name !== 'string') return JSON.stringify(key)
  return typeOid !== undefined && catalogue.isInteger(typeOid) ? key : JSON.stringify(key)
}

function keyTypeIn(relation: Relation | null, { key }: EntityMapping): number | undefined {
  return relation?.columns[placesOfKey(relation, key)[0] ?? -1]?.typeOid
}

/** The event of an entity that is gone, of which no more is known than its id, and whose it was last. */
export function writeDeletion(
  catalogue: Catalogue,
  entity: EntityMapping,
  { entityId, tenant }: KnownEntity,
): EventText {
  const { entityType } = entity
  const actionType = 'delete'
  const entityIdJson = writeEntityId(catalogue, entity, entityId)
  const body = writeBody({ entityIdJson, entityType, actionType, resultJson: null })
  return {
    entityType,
    entityId,
    actionType,
    body,
    ...(tenant !== null && { of: { tenant, tenantBefore: null } }),
  }
}
