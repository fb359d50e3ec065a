import type { Change, Relation } from '../../domain/capture/change.ts'
import type { FanOut } from '../../domain/capture/fan-out.ts'
import { isSameList } from '../../domain/capture/replaced-rows.ts'
import type { ParkedChange, WebhookEvent } from '../../domain/event/event.ts'
import { keyName } from '../../domain/mapping/entity-key.ts'
import { type EntityMapping, type RelatedList, tableKey } from '../../domain/mapping/mapping.ts'
import type { Lsn } from '../../domain/value/lsn.ts'
import { openArrivals } from '../continuity/arrivals.ts'
import { findReach, type Reach, reachesNobody } from '../related/indirect.ts'
import type { ReceivedRows } from '../related/received-rows.ts'
import type { Source } from '../source/source.ts'
import type { TransactionPart } from '../stream/batch.ts'
import { untilSeen } from '../stream/visibility.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import { type ChangedEntity, foldReadable } from './changed-entities.ts'
import { withoutEarlyUpdates } from './early-updates.ts'
import { createFactsFinder } from './facts.ts'
import { createMissingReader, type Missing } from './missing.ts'
import { makePlan, type Plan } from './plan.ts'
import { createRowFilters, filtered } from './row-filters.ts'
import { createSetAside, type Unreadable } from './set-aside.ts'
import { createShapes } from './shape.ts'
import { isMoved } from './tenants.ts'
import { tryTwice } from './try-twice.ts'
import {
  type Compared,
  createEventWriter,
  type EventText,
  type KnownEntity,
  writeDeletion,
} from './write-event.ts'

export type Mapped = {
  /** In commit order. `index` counts from 0 within the given part of the transaction. */
  readonly events: readonly WebhookEvent[]
  readonly parked: readonly ParkedChange[]
  /** Tables with too many consecutive unreadable changes to park each. */
  readonly unreadable: readonly Unreadable[]
  /** Truncated tables. */
  readonly truncated: readonly string[]
  /** Entity types to be deleted because of that. */
  readonly emptied: readonly Emptied[]
  /** Changed rows of so many entities that these are sent page by page. */
  readonly fanOuts: readonly FanOut[]
  /** The end of the WAL when the events' values were read from tables; null: none were. */
  readonly readLsn: Lsn | null
}

/** An entity type without any entity left, and the writer of its deletes. */
export type Emptied = {
  readonly entityType: string
  deletionOf(known: KnownEntity): EventText
}

/**
 * Makes events of transactions: finds the changed entities, folds each transaction's changes by entity, and writes the JSON.
 * Values that the WAL lacks (related rows, unchanged TOAST) are read from the source (`missing.ts`).
 */
export function createMapper(options: {
  source: Source
  mapping: readonly EntityMapping[]
  /** For related fields through other tables. */
  receivedRows?: ReceivedRows | undefined
  catalogue: Catalogue
  /** Called when the stream announces new relations, as after each DDL. */
  reloadCatalogue: () => Promise<Catalogue>
  /** The greatest `readLsn` of stored events. */
  readBefore: Lsn | null
  /** Tables whose unreadable changes are already recorded as lost. */
  unreadable?: Parameters<typeof createSetAside>[0]
  /** Aborted when the stream ends, with everything that waits. */
  signal?: AbortSignal
}) {
  const { receivedRows, signal } = options
  const { pool } = options.source
  const readMissing = createMissingReader(options)
  const setAside = createSetAside(options.unreadable ?? [])
  let reading = readingBy(options.catalogue, options.mapping)
  const known = new WeakSet<Relation>()
  const arrivals = openArrivals()

  /** The stream announces a relation again after each DDL: columns and types may be new. */
  async function learn(parts: readonly TransactionPart[]) {
    let isNew = false
    for (const { changes } of parts)
      for (const change of changes)
        if (change.kind !== 'truncate' && !known.has(change.relation)) {
          known.add(change.relation)
          isNew = true
        }
    if (!isNew) return
    await untilSeen(pool, idsOf(parts), signal)
    reading = readingBy(await options.reloadCatalogue(), options.mapping)
  }

  /** The entities of changed rows that they show through other tables. Everything from the stream is visible then. */
  async function reachOf(parts: readonly TransactionPart[]): Promise<Reach> {
    if (!receivedRows) return reachesNobody
    for (const { xid, changes } of parts) if (changes.length > 0) receivedRows.note(xid)
    const { planOf, catalogue } = reading
    if (!parts.some(({ changes }) => changes.some(change => isIndirect(change, planOf)))) return reachesNobody
    await untilSeen(pool, idsOf(parts), signal)
    return await findReach(pool, catalogue, parts, planOf, receivedRows)
  }

  /**
   * `isWhole`: no chunk of the last transaction follows. Throws `TooMuch` if more than `maxBytes` must be read from a table,
   * without any effect.
   */
  return async (
    parts: readonly TransactionPart[],
    isWhole = true,
    maxBytes = Number.POSITIVE_INFINITY,
  ): Promise<Mapped> => {
    await learn(parts)
    const { catalogue, shapes, planOf } = reading
    const { onTruncate, ...emptiedTables } = noteTruncations(catalogue)
    const reach = await reachOf(parts)
    const named = parts.flatMap(part =>
      foldReadable(part, planOf, onTruncate, arrivals.of(part.commitLsn, isWhole), reach),
    )
    const isToSend = (item: Compared) => item.entity.sendsUnchanged || !isKnownUnchanged(item)
    const compared = named.map(item => compare(item, reading))
    const changed = withoutEarlyUpdates(compared.filter(({ folded }) => folded.state !== 'nothing')).filter(
      isToSend,
    )
    const missing = await readMissing(parts, changed, { catalogue, shapes, maxBytes })
    const items = changed.map(item => withoutSameLists(item, missing)).filter(isToSend)
    setAside.begin(parts)
    const written = writeAll(items, missing, { writeEvent: reading.writeEvent, setAside })
    const { readLsn } = missing
    return { ...written, unreadable: setAside.lost(), ...emptiedTables, readLsn, fanOuts: reach.fanOuts }
  }
}

/** The parts that depend on the catalogue, created again with each. */
function readingBy(catalogue: Catalogue, mapping: readonly EntityMapping[]) {
  const plans = new WeakMap<Relation, Plan>()
  const shapes = createShapes(catalogue)
  const matchRow = createRowFilters(catalogue)
  const findFacts = createFactsFinder(catalogue)
  const writeEvent = createEventWriter(catalogue, { shapes, matchRow })

  function planOf(relation: Relation): Plan {
    const known = plans.get(relation)
    if (known) return known
    const plan = makePlan(relation, mapping, catalogue)
    plans.set(relation, plan)
    return plan
  }

  return { catalogue, shapes, matchRow, findFacts, writeEvent, planOf }
}

type Reading = ReturnType<typeof readingBy>

const idsOf = (parts: readonly TransactionPart[]) => parts.map(({ xid }) => xid)

const isIndirect = (change: Change, planOf: Reading['planOf']) =>
  change.kind === 'truncate'
    ? change.relations.some(relation => planOf(relation).indirect.length > 0)
    : planOf(change.relation).indirect.length > 0

/** Collects truncated tables, and the entity types that are deleted with them. */
function noteTruncations(catalogue: Catalogue) {
  const truncated: string[] = []
  const emptied: Emptied[] = []
  const onTruncate = (table: string, entities: readonly EntityMapping[]) => {
    truncated.push(table)
    for (const entity of entities.filter(({ deletesOnTruncate }) => deletesOnTruncate))
      emptied.push({
        entityType: entity.entityType,
        deletionOf: known => writeDeletion(catalogue, entity, known),
      })
  }
  return { truncated, emptied, onTruncate }
}

function compare(named: ChangedEntity, { matchRow, findFacts }: Reading): Compared {
  const matched = tryTwice(() => filtered(named, matchRow))
  const item = matched.ok ? matched.value : { ...named, matchedBefore: 'unknown' as const }
  const found = tryTwice(() => findFacts(item.entity, item.relation, item.folded))
  const facts = found.ok ? found.value : { previous: null, changed: null }
  // A row that may begin to match is sent, whatever changed.
  const isSure = item.matchedBefore === 'yes' || item.folded.before === 'unmodified'
  return { ...item, facts: isSure || facts.changed === null ? facts : { ...facts, changed: null } }
}

/** The same without related fields that are unchanged by the transaction. */
function withoutSameLists(item: Compared, missing: Missing): Compared {
  const { entity, key, replaced, facts } = item
  const { changed } = facts
  if (entity.sendsUnchanged || changed === null || key === null || replaced.size === 0) return item
  const isSame = (list: RelatedList) => {
    // Rows that lead to others do not show how many are shown.
    const read = list.through ? null : missing.relatedOf(list, key)
    return isSameList(replaced.get(list.field), read === null ? null : (read?.rows ?? 0))
  }
  const same = entity.related.filter(({ field }) => changed.includes(field)).filter(isSame)
  if (same.length === 0) return item
  const others = changed.filter(name => !same.some(({ field }) => field === name))
  return { ...item, facts: { ...facts, changed: others } }
}

/** The events of entities, in order; unreadable ones are parked, or lost with their table. */
function writeAll(
  items: readonly Compared[],
  missing: Missing,
  { writeEvent, setAside }: Pick<Reading, 'writeEvent'> & { setAside: ReturnType<typeof createSetAside> },
) {
  const events: WebhookEvent[] = []
  const parked: ParkedChange[] = []
  let last: TransactionPart | null = null
  let index = 0
  for (const item of items) {
    if (item.part !== last) index = 0
    last = item.part
    const { commitLsn, committedAt } = item.part
    const written = tryTwice(() => (cannotBeEvent(item) === null ? writeEvent(item, missing) : null))
    const reason = written.ok ? cannotBeEvent(item) : `its event cannot be written: ${written.because}`
    const actionType = item.folded.state
    if (reason === null) {
      const event = written.ok && written.value
      if (event) events.push({ ...event, commitLsn, committedAt, index: index++ })
      if (event && event.actionType !== 'delete') setAside.written(item, missing.isReadBack(item))
    } else if (actionType !== 'nothing' && !setAside.isLost(item, missing.isReadBack(item), reason)) {
      const entityId = item.key?.slice(0, maxShownKey) ?? null
      const { entityType } = item.entity
      parked.push({ entityType, entityId, actionType, reason, commitLsn, index: index++ })
    }
  }
  return { events, parked }
}

/** True for an update that is known to have changed neither sent values nor receivers. */
function isKnownUnchanged(item: Compared): boolean {
  return item.folded.state === 'update' && item.facts.changed?.length === 0 && !isMoved(item)
}

/** A longer key may exceed an index entry, which Postgres limits to about 2,700 bytes. */
const maxKeyBytes = 1_024
export const maxShownKey = 200

/** Why a change can't become an event, or null. */
export function cannotBeEvent({
  key,
  entity,
  problem = null,
}: Pick<ChangedEntity, 'key' | 'entity'> & Partial<Pick<ChangedEntity, 'problem'>>): string | null {
  if (problem !== null) return problem
  if (key === null) return `a row of ${tableKey(entity.table)} without its key ${keyName(entity.key)}`
  if (Buffer.byteLength(key) > maxKeyBytes)
    return `the key ${keyName(entity.key)} has ${Buffer.byteLength(key)} bytes, but an entity_id may have at most ${maxKeyBytes}`
  return null
}
