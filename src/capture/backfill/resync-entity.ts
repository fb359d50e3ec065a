import { defaultRowsPerSecond, maxRowsPerSecond, pageRows, pauseMs } from '../../domain/capture/backfill.ts'
import type { FanOut } from '../../domain/capture/fan-out.ts'
import type { Part, Resync } from '../../domain/capture/resync.ts'
import { indirectFields, stopsOf } from '../../domain/mapping/hops.ts'
import { type EntityMapping, tableKey } from '../../domain/mapping/mapping.ts'
import { transaction } from '../../outbox/database/database.ts'
import {
  advanceResync,
  cancelResync,
  openResyncs,
  type ResyncStep,
  unsentEntities,
} from '../../outbox/source/resyncs.ts'
import type { CheckedEntity } from '../continuity/check-entity.ts'
import { writeDeletion } from '../map/write-event.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import { type KeysPage, type Page, readKeysOf } from './backfill-page.ts'
import { mergeRows, type PagedWork, type Piece, stepPast, type Turn, type TurnEnd } from './paged-work.ts'
import type { PageOutcome } from './pages.ts'

const maxKeys = 1_000
const task = { of: 'resync' } as const
const goesOn: TurnEnd = { goesOnInMs: 0 }
const unread = 'the changes that were written before it must be stored first'

/** A pace without urgency: the application's tables are read for it. */
const fanOutRowsPerSecond = defaultRowsPerSecond

const namesOf = ({ entityType, field, value }: FanOut) => ({
  entity_type: entityType,
  field,
  leads_by: value,
})

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
  const { outbox, slotName, mapping, merger, checkEntity, log } = options
  /** The resyncs of this stream, and whether it has delivered everything written before them. */
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
    merger.caughtUp().then(
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
    const of: CheckedEntity = entity ? await checkEntity(entity) : { kind: 'gone', reason: unmapped }
    if (of.kind === 'gone') {
      const { reason } = of
      await cancelResync(outbox.pool, resync.id, { reason, code: 'page.entity_gone' })
      log.warn('resync.ended', { entity_type: resync.entityType, state: 'cancelled', reason })
      return goesOn
    }
    const work = { options, resync, ...of, turn, signal }
    if (resync.fanOut) return await mergeFanOut(work, resync.fanOut)
    if (!hasCaughtUp(resync)) return { waitsFor: { reason: unread, code: null }, briefly: true }
    return resync.phase === 'rows' ? await mergeAllRows(work) : await mergeDeletes(work)
  }

  return async () =>
    (await openResyncs(outbox, slotName)).map(resync => ({
      of: 'resyncs',
      id: resync.id,
      unasked: unaskedOf(resync),
      position: `${resync.phase} ${resync.afterKey ?? ''}`,
      // Never given up: its gap would stay open for ever.
      takeTurn: (turn, signal) => takeTurn(resync, turn, signal),
    }))
}

/** One turn of a resync. */
type Work = {
  readonly options: PagedWork
  readonly resync: Resync
  readonly entity: EntityMapping
  readonly catalogue: Catalogue
  readonly turn: Turn
  readonly signal: AbortSignal
}

/** The stream is newer than the rows, or equal: no need to catch up. */
async function mergeFanOut(work: Work, fanOut: FanOut): Promise<TurnEnd> {
  const { options, resync, entity, catalogue, turn, signal } = work
  const { outbox, log, nowMs } = options
  const startedAtMs = nowMs()
  const list = entity.related.find(({ field }) => field === fanOut.field)
  if (!list || stopsOf(list).length <= fanOut.at) {
    const reason = `the mapping leads to no rows of ${JSON.stringify(fanOut.field)} any more`
    await cancelResync(outbox.pool, resync.id, { reason, code: 'page.entity_gone' })
    log.warn('fan_out.ended', { ...namesOf(fanOut), state: 'cancelled', reason })
    return goesOn
  }
  const limit = pageRows(fanOutRowsPerSecond, turn.bytesPerRow)
  const stepOf = (page: Page) => ({ ...aboutOf(resync), part: null, fanOut, ...stepPast(resync, page) })
  const of = { task: { ...task, changed: indirectFields(entity.related) }, entity, catalogue }
  const merged = await mergeRows(options, { ...of, work: resync, limit, stepOf }, turn, signal)
  const end = await endOf(work, merged, stepOf)
  if (!('page' in merged) || signal.aborted) return end
  if (stepOf(merged.page).isLast)
    log.info('fan_out.ended', { ...namesOf(fanOut), state: 'done', rows: resync.rowsDone + merged.page.rows })
  return { goesOnInMs: pauseMs(merged.page.rows, fanOutRowsPerSecond, nowMs() - startedAtMs) }
}

async function mergeAllRows(work: Work): Promise<TurnEnd> {
  const { options, resync, entity, catalogue, turn, signal } = work
  const part = resync.part && kindOf(resync.part, entity)
  const limit = pageRows(maxRowsPerSecond, turn.bytesPerRow)
  const stepOf = (page: Page) => ({ ...aboutOf(resync), part, fanOut: null, ...stepPast(resync, page) })
  const of = { task, entity, catalogue }
  const merged = await mergeRows(options, { ...of, work: resync, limit, stepOf }, turn, signal)
  const end = await endOf(work, merged, stepOf)
  if (part && 'page' in merged && stepOf(merged.page).isLast && !signal.aborted) logDone(work)
  return end
}

async function mergeDeletes(work: Work): Promise<TurnEnd> {
  const { options, resync, entity, catalogue, signal } = work
  const { source, outbox, merger } = options
  // Committed events only; further ones may follow: storing the page decides.
  const unsent = await transaction(outbox.pool, client => unsentEntities(client, resync, maxKeys))
  const { entities: known, toKey, isLast } = unsent
  const past = { fromKey: resync.afterKey, toKey, untilKey: null, rows: 0, rowsEstimate: null, isLast }
  const stepOf = () => ({ ...aboutOf(resync), id: resync.id, part: null, fanOut: null, ...past })
  if (known.length === 0) {
    if (!signal.aborted && (await advanceResync(outbox.pool, stepOf(), 0)) && isLast) logDone(work)
    return goesOn
  }
  const contentOf = ({ entities, unreadable }: KeysPage) => {
    const present = new Set([...entities, ...unreadable].map(({ entityId }) => entityId))
    const gone = known
      .filter(({ entityId }) => !present.has(entityId))
      .map(each => writeDeletion(catalogue, entity, each))
    return { reading: { entities, unreadable, gone }, step: stepOf() }
  }
  const keys = known.map(({ entityId }) => entityId)
  const read = () => readKeysOf(source, catalogue, entity, keys)
  const merged = await merger.merge(task, entity, { read, contentOf }, signal)
  if (merged.outcome === 'stored' && isLast) logDone(work)
  return await endOf(work, merged, stepOf)
}

const aboutOf = ({ entityType, knownUpTo, phase, orders }: Resync) => ({
  ...task,
  ...{ entityType, knownUpTo, phase, orders },
})

async function endOf<P>(
  { options, signal }: Work,
  merged: PageOutcome<P>,
  stepOf: (page: P) => ResyncStep,
): Promise<TurnEnd> {
  if (merged.outcome === 'again') return { waitsFor: { reason: merged.reason, code: null }, briefly: true }
  if (merged.outcome === 'nothing' && !signal.aborted)
    await advanceResync(options.outbox.pool, stepOf(merged.page), 0)
  return goesOn
}

function logDone({ options, resync: { id, entityType, gapIds, part } }: Work) {
  const of = part ? { partition: part.name, table: part.tableName } : { gap_ids: gapIds }
  options.log.info('resync.ended', { resync_id: id, state: 'done', entity_type: entityType, ...of })
}

function unaskedOf({ part, fanOut }: Resync): string | null {
  if (part)
    return `the partition ${part.name} was attached to ${part.tableName}, and its rows are not sent yet`
  if (!fanOut) return null
  return `a changed row is in ${fanOut.field} of many entities of the type ${fanOut.entityType}, and not all of them are sent yet`
}
