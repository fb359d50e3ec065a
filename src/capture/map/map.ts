import type { Change, Relation } from '../../domain/capture/change.ts'
import type { FanOut } from '../../domain/capture/fan-out.ts'
import { isSameList } from '../../domain/capture/replaced-rows.ts'
import type { ParkedChange, WebhookEvent } from '../../domain/event/event.ts'
import { keyName } from '../../domain/mapping/entity-key.ts'
import { type EntityMapping, type RelatedList, tableKey } from '../../domain/mapping/mapping.ts'
import type { Lsn } from '../../domain/value/lsn.ts'
import { openArrivals } from '../continuity/arrivals.ts'
import { findReach, type Reach, reachesNobody } from '../related/behind.ts'
import type { Born } from '../related/born.ts'
import type { Catalogue } from '../source/catalogue.ts'
import type { Source } from '../source/source.ts'
import type { TransactionPart } from '../stream/batch.ts'
import { untilSeen } from '../stream/visibility.ts'
import { createFactsFinder } from './facts.ts'
import { createMissingReader, type Missing } from './missing.ts'
import { makePlan, type Plan } from './plan.ts'
import { createRowFilters, filtered } from './row-filters.ts'
import { createSetAside, type Unreadable } from './set-aside.ts'
import { createShapes } from './shape.ts'
import { isMoved } from './tenants.ts'
import { foldWhatCanBe, type Touched } from './touched.ts'
import { twice } from './twice.ts'
import { withoutUnborn } from './unborn.ts'
import {
  type Compared,
  createEventWriter,
  type EventText,
  type KnownEntity,
  writeDeletion,
} from './write-event.ts'

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
  const { born, signal } = options
  const { pool } = options.source
  const readMissing = createMissingReader(options)
  const setAside = createSetAside(options.unreadable ?? [])
  let reading = readingBy(options.catalogue, options.mapping)
  const known = new WeakSet<Relation>()
  const arrivals = openArrivals()

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
    await untilSeen(pool, idsOf(parts), signal)
    reading = readingBy(await options.reloadCatalogue(), options.mapping)
  }

  /** The entities that changed rows behind other tables concern. All that the stream has brought is seen then. */
  async function reachOf(parts: readonly TransactionPart[]): Promise<Reach> {
    if (!born) return reachesNobody
    for (const { xid, changes } of parts) if (changes.length > 0) born.note(xid)
    const { planOf, catalogue } = reading
    if (!parts.some(({ changes }) => changes.some(change => isBehind(change, planOf)))) return reachesNobody
    await untilSeen(pool, idsOf(parts), signal)
    return await findReach(pool, catalogue, parts, planOf, born)
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
    await learn(parts)
    const { catalogue, shapes, planOf } = reading
    const { onTruncate, ...emptiedTables } = noteTruncations(catalogue)
    const reach = await reachOf(parts)
    const named = parts.flatMap(part =>
      foldWhatCanBe(part, planOf, onTruncate, arrivals.of(part.commitLsn, isWhole), reach),
    )
    const isToTell = (item: Compared) => item.entity.sendsUnchanged || !isKnownUnchanged(item)
    const compared = named.map(item => compare(item, reading))
    const changed = withoutUnborn(compared.filter(({ folded }) => folded.state !== 'nothing')).filter(
      isToTell,
    )
    const missing = await readMissing(parts, changed, { catalogue, shapes, mostBytes })
    const touched = changed.map(item => withoutSameLists(item, missing)).filter(isToTell)
    setAside.begin(parts)
    const written = writeAll(touched, missing, { writeEvent: reading.writeEvent, setAside })
    const { readLsn } = missing
    return { ...written, unreadable: setAside.lost(), ...emptiedTables, readLsn, fanOuts: reach.fanOuts }
  }
}

/** What depends on the catalogue, and is made anew with each. */
function readingBy(catalogue: Catalogue, mapping: readonly EntityMapping[]) {
  const plans = new WeakMap<Relation, Plan>()
  const shapes = createShapes(catalogue)
  const judgeRow = createRowFilters(catalogue)
  const findFacts = createFactsFinder(catalogue)
  const writeEvent = createEventWriter(catalogue, { shapes, judgeRow })

  function planOf(relation: Relation): Plan {
    const known = plans.get(relation)
    if (known) return known
    const plan = makePlan(relation, mapping, catalogue)
    plans.set(relation, plan)
    return plan
  }

  return { catalogue, shapes, judgeRow, findFacts, writeEvent, planOf }
}

type Reading = ReturnType<typeof readingBy>

const idsOf = (parts: readonly TransactionPart[]) => parts.map(({ xid }) => xid)

const isBehind = (change: Change, planOf: Reading['planOf']) =>
  change.kind === 'truncate'
    ? change.relations.some(relation => planOf(relation).behind.length > 0)
    : planOf(change.relation).behind.length > 0

/** Collects the tables that a TRUNCATE emptied, and the types of entities that are deleted with them. */
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

function compare(named: Touched, { judgeRow, findFacts }: Reading): Compared {
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

/** The events of entities in order; those that can't be told are parked, or lost with their table. */
function writeAll(
  touched: readonly Compared[],
  missing: Missing,
  { writeEvent, setAside }: Pick<Reading, 'writeEvent'> & { setAside: ReturnType<typeof createSetAside> },
) {
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
    const actionType = item.folded.state
    if (reason === null) {
      const event = written.ok && written.value
      if (event) events.push({ ...event, commitLsn, committedAt, index: index++ })
      if (event && event.actionType !== 'delete') setAside.told(item, missing.isReadBack(item))
    } else if (actionType !== 'nothing' && !setAside.isLost(item, missing.isReadBack(item), reason)) {
      const entityId = item.key?.slice(0, maxShownKey) ?? null
      const { entityType } = item.entity
      parked.push({ entityType, entityId, actionType, reason, commitLsn, index: index++ })
    }
  }
  return { events, parked }
}

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
