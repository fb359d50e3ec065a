import { maxRowsPerSecond, pageRows } from '../domain/backfill.ts'
import type { EntityMapping } from '../domain/mapping.ts'
import type { Resync } from '../domain/resync.ts'
import { type Outbox, transaction } from '../outbox/database.ts'
import {
  advanceResync,
  cancelResync,
  noteResync,
  openResyncs,
  type ResyncStep,
  untoldEntities,
} from '../outbox/resyncs.ts'
import { describeError, type Log } from '../runtime/log.ts'
import { bytesOf } from './backfill.ts'
import { type KeysPage, type Page, readKeysOf, readPageOf } from './backfill-page.ts'
import type { Catalogue } from './catalogue.ts'
import { writeDeletion } from './map.ts'
import type { PageOutcome, PageTeller } from './pages.ts'
import type { Source } from './source.ts'

const pollMs = 2_000
const retryMs = 1_000
const rereadMs = 100
/** What is over sooner is not worth a note. */
const noteAfterMs = 1_000
const maxKeys = 1_000

type Turn = { nextAtMs: number; bytesPerRow: number | null; waitsSinceMs: number | null }

/** What became of a turn: how long to wait and why, or that the resync went on. */
type TurnEnd = { readonly waits: string; readonly ms: number } | 'went on'

/**
 * Works off the slot's resyncs, each page of them in its turn, while the stream is stored: the rows, then the deletes. A
 * page is told at its mark, so every state comes after those that are older (`pages.ts`), and a table is locked for as
 * long as reading a page takes.
 *
 * What can't be read is waited for. An entity is deleted only where its table was read, whole and by us, and did not
 * have it.
 */
export function createResyncs(options: {
  source: Source
  outbox: Outbox
  slotName: string
  mapping: readonly EntityMapping[]
  teller: PageTeller
  /** The catalogue of an entity's tables; throws where they can't be captured as they are. */
  judge: (entity: EntityMapping) => Promise<Catalogue>
  nowMs: () => number
  log: Log
}) {
  const { source, outbox, slotName, mapping, teller, judge, nowMs, log } = options
  const turns = new Map<number, Turn>()

  /** Does what is to be done next; returns after how many ms there is more, and whether any is open. */
  async function takeNextTurn(signal: AbortSignal): Promise<{ waitMs: number; isIdle: boolean }> {
    const open = await openResyncs(outbox, slotName)
    for (const id of turns.keys()) if (!open.some(resync => resync.id === id)) turns.delete(id)
    const next = open.toSorted((a, b) => turnOf(a).nextAtMs - turnOf(b).nextAtMs)[0]
    if (!next) return { waitMs: pollMs, isIdle: true }
    const turn = turnOf(next)
    const waitMs = turn.nextAtMs - nowMs()
    if (waitMs > 0) return { waitMs: Math.min(waitMs, pollMs), isIdle: false }
    const end = await takeTurn(next, turn, signal).catch((error): TurnEnd => {
      return { waits: `the next page could not be read: ${describeError(error)}`, ms: retryMs }
    })
    if (!signal.aborted) await note(next, turn, end)
    return { waitMs: 0, isIdle: false }
  }

  function turnOf({ id }: Resync): Turn {
    const turn = turns.get(id) ?? { nextAtMs: 0, bytesPerRow: null, waitsSinceMs: null }
    turns.set(id, turn)
    return turn
  }

  async function takeTurn(resync: Resync, turn: Turn, signal: AbortSignal): Promise<TurnEnd> {
    const entity = mapping.find(({ entityType }) => entityType === resync.entityType)
    if (!entity) {
      const reason = `the mapping has no entity ${JSON.stringify(resync.entityType)} any more`
      await cancelResync(outbox.pool, resync.id, reason)
      log.warn('resync.ended', { entity_type: resync.entityType, state: 'cancelled', reason })
      return 'went on'
    }
    const catalogue = await judge(entity)
    return resync.phase === 'rows'
      ? await tellRows(resync, turn, { entity, catalogue }, signal)
      : await tellDeletes(resync, { entity, catalogue }, signal)
  }

  async function tellRows(
    resync: Resync,
    turn: Turn,
    { entity, catalogue }: { entity: EntityMapping; catalogue: Catalogue },
    signal: AbortSignal,
  ): Promise<TurnEnd> {
    const limit = pageRows(maxRowsPerSecond, turn.bytesPerRow)
    const at = { after: resync.afterKey, until: resync.untilKey, limit }
    const stepOf = (page: Page) =>
      stepPast(resync, {
        toKey: page.lastKey,
        untilKey: page.untilKey,
        rows: page.rows,
        rowsEstimate: page.rowsEstimate,
        isLast: page.rows < limit,
      })
    const told = await teller.tell(
      { of: 'resync' },
      entity,
      {
        read: () => readPageOf(source, catalogue, entity, at),
        contentOf: page =>
          page.rows === 0 ? null : { reading: page, step: { of: 'resync', ...stepOf(page) } },
      },
      signal,
    )
    if (told.outcome === 'stored') turn.bytesPerRow = bytesOf(told.page.entities) / told.page.rows
    return await endOf(told, stepOf, signal)
  }

  async function tellDeletes(
    resync: Resync,
    { entity, catalogue }: { entity: EntityMapping; catalogue: Catalogue },
    signal: AbortSignal,
  ): Promise<TurnEnd> {
    // Committed events only, and more may be on their way: what is told is settled when the page is stored.
    const untold = await transaction(outbox.pool, client => untoldEntities(client, resync, maxKeys))
    const { entityIds, toKey, isLast } = untold
    const stepOf = (): ResyncStep =>
      stepPast(resync, { toKey, untilKey: null, rows: 0, rowsEstimate: null, isLast })
    if (entityIds.length === 0) {
      if (!signal.aborted && (await advanceResync(outbox.pool, stepOf(), 0)) && isLast) logDone(resync)
      return 'went on'
    }
    const contentOf = ({ entities }: KeysPage) => {
      const present = new Set(entities.map(({ entityId }) => entityId))
      const gone = entityIds.filter(id => !present.has(id)).map(id => writeDeletion(catalogue, entity, id))
      return { reading: { entities, gone }, step: { of: 'resync' as const, ...stepOf() } }
    }
    const read = () => readKeysOf(source, catalogue, entity, entityIds)
    const told = await teller.tell({ of: 'resync' }, entity, { read, contentOf }, signal)
    if (told.outcome === 'stored' && isLast) logDone(resync)
    return await endOf(told, stepOf, signal)
  }

  async function endOf<P>(
    told: PageOutcome<P>,
    stepOf: (page: P) => ResyncStep,
    signal: AbortSignal,
  ): Promise<TurnEnd> {
    if (told.outcome === 'again') return { waits: told.reason, ms: rereadMs }
    if (told.outcome === 'nothing' && !signal.aborted) await advanceResync(outbox.pool, stepOf(told.page), 0)
    return 'went on'
  }

  async function note({ id }: Resync, turn: Turn, end: TurnEnd): Promise<void> {
    if (end === 'went on') {
      turn.waitsSinceMs = null
      return
    }
    turn.waitsSinceMs ??= nowMs()
    turn.nextAtMs = nowMs() + end.ms
    if (end.ms >= retryMs || nowMs() - turn.waitsSinceMs >= noteAfterMs)
      await noteResync(outbox, id, end.waits)
  }

  function logDone({ id, entityType, gapIds }: Resync) {
    log.info('resync.ended', { resync_id: id, state: 'done', entity_type: entityType, gap_ids: gapIds })
  }

  return { takeNextTurn }
}

type Past = Pick<ResyncStep, 'toKey' | 'untilKey' | 'rows' | 'rowsEstimate' | 'isLast'>

function stepPast({ id, entityType, knownUpTo, phase, afterKey }: Resync, past: Past): ResyncStep {
  return { id, entityType, knownUpTo, phase, fromKey: afterKey, ...past }
}
