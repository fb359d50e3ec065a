import { maxRowsPerSecond, pageRows, pauseMs, usualRowsPerSecond } from '../../domain/capture/backfill.ts'
import type { FanOut } from '../../domain/capture/fan-out.ts'
import type { Part, Resync } from '../../domain/capture/resync.ts'
import { fieldsBehind, stopsOf } from '../../domain/mapping/hops.ts'
import { type EntityMapping, tableKey } from '../../domain/mapping/mapping.ts'
import { transaction } from '../../outbox/database/database.ts'
import {
  advanceResync,
  cancelResync,
  openResyncs,
  type ResyncStep,
  untoldEntities,
} from '../../outbox/source/resyncs.ts'
import type { Judged } from '../continuity/judged-tables.ts'
import { writeDeletion } from '../map/write-event.ts'
import type { Catalogue } from '../source/catalogue.ts'
import { type KeysPage, type Page, readKeysOf } from './backfill-page.ts'
import { type PagedWork, type Piece, stepPast, type Turn, type TurnEnd, tellRows } from './paged-work.ts'
import type { PageOutcome } from './pages.ts'

const maxKeys = 1_000
const task = { of: 'resync' } as const
const goesOn: TurnEnd = { goesOnInMs: 0 }
const unread = 'the changes that were written before it must be stored first'

/** A pace without urgency: the application's tables are read for it. */
const fanOutRowsPerSecond = usualRowsPerSecond

const namesOf = ({ entityType, field, value }: FanOut) => ({
  entity_type: entityType,
  field,
  leads_by: value,
})

type Entity = { readonly entity: EntityMapping; readonly catalogue: Catalogue }

/** The role of a partition's rows for an entity type. */
function kindOf({ tableName }: Part, { table }: EntityMapping): ResyncStep['part'] {
  return tableName === tableKey(table) ? 'entities' : 'owners'
}

/**
 * Finds the slot's open resyncs. Each sends its rows, then the deletes, page by page at marks, so that states stay in order
 * (`pages.ts`). A table is locked only while a page is read.
 *
 * A new partition's resync sends only rows that receivers lack (`outbox/source/arrivals.ts`). Unreadable tables are waited
 * for. A delete is sent only if its table was read completely, and did not contain the entity.
 */
export function createResyncs(options: PagedWork): () => Promise<Piece[]> {
  const { source, outbox, slotName, mapping, teller, judge, nowMs, log } = options
  /** The resyncs of this stream, and whether it has brought everything written before them. */
  const met = new Map<string, { hasCaughtUp: boolean }>()

  /**
   * Rows may have changed outside the WAL before a resync was requested. Stream events from before are older than the rows,
   * but would count as newer in a page's window.
   */
  function hasCaughtUp({ id, gapIds }: Resync): boolean {
    // A further gap starts it again.
    const key = `${id} ${gapIds}`
    const known = met.get(key)
    if (known) return known.hasCaughtUp
    const one = { hasCaughtUp: false }
    met.set(key, one)
    teller.caughtUp().then(
      () => {
        one.hasCaughtUp = true
      },
      () => met.delete(key),
    )
    return false
  }

  async function takeTurn(resync: Resync, turn: Turn, signal: AbortSignal): Promise<TurnEnd> {
    const entity = mapping.find(({ entityType }) => entityType === resync.entityType)
    const unmapped = `the mapping has no entity ${JSON.stringify(resync.entityType)} any more`
    const of: Judged = entity ? await judge(entity) : { kind: 'gone', reason: unmapped }
    if (of.kind === 'gone') {
      const { reason } = of
      await cancelResync(outbox.pool, resync.id, { reason, code: 'page.entity_gone' })
      log.warn('resync.ended', { entity_type: resync.entityType, state: 'cancelled', reason })
      return goesOn
    }
    if (resync.fanOut) return await tellFanOut(resync, resync.fanOut, of, turn, signal)
    if (!hasCaughtUp(resync)) return { waitsFor: { reason: unread, code: null }, briefly: true }
    return resync.phase === 'rows'
      ? await tellAll(resync, of, turn, signal)
      : await tellDeletes(resync, of, signal)
  }

  /** The stream is newer than the rows, or equal: no need to catch up. */
  async function tellFanOut(
    resync: Resync,
    fanOut: FanOut,
    of: Entity,
    turn: Turn,
    signal: AbortSignal,
  ): Promise<TurnEnd> {
    const startedAtMs = nowMs()
    const list = of.entity.related.find(({ field }) => field === fanOut.field)
    if (!list || stopsOf(list).length <= fanOut.at) {
      const reason = `the mapping leads to no rows of ${JSON.stringify(fanOut.field)} any more`
      await cancelResync(outbox.pool, resync.id, { reason, code: 'page.entity_gone' })
      log.warn('fan_out.ended', { ...namesOf(fanOut), state: 'cancelled', reason })
      return goesOn
    }
    const { entityType, knownUpTo, phase, orders } = resync
    const limit = pageRows(fanOutRowsPerSecond, turn.bytesPerRow)
    const stepOf = (page: Page) => ({
      ...{ of: 'resync' as const, entityType, part: null, fanOut, knownUpTo, phase, orders },
      ...stepPast(resync, page),
    })
    const told = await tellRows(
      options,
      { task: { ...task, changed: fieldsBehind(of.entity.related) }, ...of, work: resync, limit, stepOf },
      turn,
      signal,
    )
    const end = await endOf(told, stepOf, signal)
    if (!('page' in told) || signal.aborted) return end
    if (stepOf(told.page).isLast)
      log.info('fan_out.ended', { ...namesOf(fanOut), state: 'done', rows: resync.rowsDone + told.page.rows })
    return { goesOnInMs: pauseMs(told.page.rows, fanOutRowsPerSecond, nowMs() - startedAtMs) }
  }

  async function tellAll(resync: Resync, of: Entity, turn: Turn, signal: AbortSignal): Promise<TurnEnd> {
    const { entityType, knownUpTo, phase, orders } = resync
    const part = resync.part && kindOf(resync.part, of.entity)
    const limit = pageRows(maxRowsPerSecond, turn.bytesPerRow)
    const stepOf = (page: Page) => ({
      ...{ ...task, entityType, part, fanOut: null, knownUpTo, phase, orders },
      ...stepPast(resync, page),
    })
    const told = await tellRows(options, { task, ...of, work: resync, limit, stepOf }, turn, signal)
    const end = await endOf(told, stepOf, signal)
    if (part && 'page' in told && stepOf(told.page).isLast && !signal.aborted) logDone(resync)
    return end
  }

  async function tellDeletes(
    resync: Resync,
    { entity, catalogue }: Entity,
    signal: AbortSignal,
  ): Promise<TurnEnd> {
    const { id, entityType, knownUpTo, phase, orders, afterKey } = resync
    // Committed events only; further ones may follow: storing the page decides.
    const untold = await transaction(outbox.pool, client => untoldEntities(client, resync, maxKeys))
    const { entities: known, toKey, isLast } = untold
    const past = { fromKey: afterKey, toKey, untilKey: null, rows: 0, rowsEstimate: null, isLast }
    const about = { entityType, part: null, fanOut: null, knownUpTo, phase, orders }
    const stepOf = () => ({ ...task, id, ...about, ...past })
    if (known.length === 0) {
      if (!signal.aborted && (await advanceResync(outbox.pool, stepOf(), 0)) && isLast) logDone(resync)
      return goesOn
    }
    const contentOf = ({ entities, untold: unreadable }: KeysPage) => {
      const present = new Set([...entities, ...unreadable].map(({ entityId }) => entityId))
      const gone = known
        .filter(({ entityId }) => !present.has(entityId))
        .map(each => writeDeletion(catalogue, entity, each))
      return { reading: { entities, untold: unreadable, gone }, step: stepOf() }
    }
    const read = () =>
      readKeysOf(
        source,
        catalogue,
        entity,
        known.map(({ entityId }) => entityId),
      )
    const told = await teller.tell(task, entity, { read, contentOf }, signal)
    if (told.outcome === 'stored' && isLast) logDone(resync)
    return await endOf(told, stepOf, signal)
  }

  async function endOf<P>(
    told: PageOutcome<P>,
    stepOf: (page: P) => ResyncStep,
    signal: AbortSignal,
  ): Promise<TurnEnd> {
    if (told.outcome === 'again') return { waitsFor: { reason: told.reason, code: null }, briefly: true }
    if (told.outcome === 'nothing' && !signal.aborted) await advanceResync(outbox.pool, stepOf(told.page), 0)
    return goesOn
  }

  function logDone({ id, entityType, gapIds, part }: Resync) {
    const of = part ? { partition: part.name, table: part.tableName } : { gap_ids: gapIds }
    log.info('resync.ended', { resync_id: id, state: 'done', entity_type: entityType, ...of })
  }

  return async () =>
    (await openResyncs(outbox, slotName)).map(resync => ({
      of: 'resyncs',
      id: resync.id,
      unasked: unaskedOf(resync),
      place: `${resync.phase} ${resync.afterKey ?? ''}`,
      // Never given up: its gap would stay open for ever.
      takeTurn: (turn, signal) => takeTurn(resync, turn, signal),
    }))
}

function unaskedOf({ part, fanOut }: Resync): string | null {
  if (part) return `the partition ${part.name} has come into ${part.tableName}, and its rows are not told yet`
  if (!fanOut) return null
  return `a row has changed that many entities of the type ${fanOut.entityType} show in ${fanOut.field}, and not all of them are told yet`
}
