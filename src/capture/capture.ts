import type { EntityMapping } from '../domain/mapping.ts'
import { formatProblem, type Problem } from '../domain/problem.ts'
import type { BirthOffer } from '../outbox/birth.ts'
import type { Outbox } from '../outbox/database.ts'
import { readPosition } from '../outbox/position.ts'
import { describeError, type Log } from '../runtime/log.ts'
import type { Service } from '../runtime/service.ts'
import { sleep } from '../runtime/sleep.ts'
import { createBackfills } from './backfill.ts'
import { readCatalogue } from './catalogue.ts'
import { createColumnTeller } from './columns.ts'
import { consume } from './consume.ts'
import { probePrefix } from './decode.ts'
import { createInbox, type Inbox } from './inbox.ts'
import { createMapper } from './map.ts'
import { StreamOver } from './missing.ts'
import { createPageTeller, type PageTeller } from './pages.ts'
import { judgeTables, readSlotStatus } from './preflight.ts'
import { createProgress } from './progress.ts'
import { createResyncs } from './resync-entity.ts'
import { setUp } from './setup.ts'
import type { Source } from './source.ts'
import type { Stored } from './store.ts'
import { LinkDead, openStream, type Stream } from './stream.ts'
import { createWalRelease } from './wal-release.ts'

/**
 * What capture is doing, and why where there is a reason.
 *
 *   starting     making, checking or connecting; `reason` is what ended the time before. Ends in any other state.
 *   standing by  another process reads the slot; asks again every second or two. Ends when that process ends.
 *   streaming    reads the slot and stores what comes.
 *   lagging      streaming, but what is stored is more than half a minute behind. Ends when it has caught up.
 *   blocked      something in the source must be mended by a person first; `reason` says what, and how. Looks again
 *                every few seconds.
 *   lost         changes can't be captured any more, and a gap is recorded. Ends with `walhook resync`.
 *
 * Only streaming, lagging and standing by are healthy.
 */
export type CaptureState =
  | { readonly state: 'starting'; readonly reason: string | null }
  | { readonly state: 'standing by' | 'streaming'; readonly reason: null }
  | { readonly state: 'lagging' | 'blocked' | 'lost'; readonly reason: string }

/** Thrown where a person must mend something in the source before capture can go on. */
export class CaptureBlocked extends Error {
  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'))
  }
}

/** Thrown where changes are lost. */
class CaptureLost extends Error {}

/** What waits to be stored, in bytes of WAL, and how much of it is stored in one go. */
const maxBufferedBytes = 4 * 1024 * 1024
const batchBytes = 256 * 1024
const standbyPollMs = 1_000
const longestPageWaitMs = 2_000
const usualSilenceLimitMs = 20_000
const longestSilenceLimitMs = 200_000
const usualProbeIntervalMs = 10_000
const probeAfterBytes = 262_144n
const slotIsActive = '55006'

/**
 * The service that reads the slot and fills the outbox. One process at a time streams, which Postgres itself
 * sees to: a slot has one reader. `onStored` is called after each commit to the outbox.
 */
export function createCapture(options: {
  source: Source
  outbox: Outbox
  slotName: string
  publicationName: string
  mapping: readonly EntityMapping[]
  nowMs: () => number
  log: Log
  onStored: (stored: Stored) => void
  /** What a statement of capture has been waiting for lately, in words. */
  waitsFor?: () => string | null
  /** Offers to claim lanes of up to so many events at their birth; null: nothing. */
  offerBirths?: (events: number) => BirthOffer | null
  /** How often the tables and the publication are compared with the mapping while streaming. */
  watchMs?: number
  /** How often a probe is sent whatever the source does; null or absent: only where other WAL was written. */
  probeIntervalMs?: number | null
}): Service & {
  state(): CaptureState
  /** Why nothing is stored although something waits, in words; null: all is well. */
  stall(): string | null
  lastProbe(): string | null
  probeMs(): number | null
} {
  const { source, outbox, mapping, log, slotName, publicationName, nowMs } = options
  let state: CaptureState = { state: 'starting', reason: null }
  const progress = createProgress({ nowMs, waitsFor: options.waitsFor ?? (() => null) })
  let probe: string | null = null
  let probeMs: number | null = null
  /** The server's process that sent to us last: it may hold the slot although the link to it is dead. */
  let ownBackend = 0
  /** Longer where nothing comes at all: a server may take its time over a huge transaction that is not for us. */
  let silenceLimitMs = usualSilenceLimitMs

  function enter(next: CaptureState) {
    if (next.state !== state.state || next.reason !== state.reason) {
      const { reason, ...rest } = next
      log.info('capture.state', { ...rest, ...(reason !== null && { reason }), slot: slotName })
    }
    state = next
  }

  /** Another process reads the slot, or our own dead link still holds it. */
  async function whoHasTheSlot(): Promise<CaptureState> {
    const { rows } = await source.pool.query(
      `select active_pid = $2 as is_own, pg_terminate_backend(active_pid) from pg_replication_slots
       where slot_name = $1 and active_pid = $2`,
      [slotName, ownBackend],
    )
    if (rows.length === 0) return { state: 'standing by', reason: null }
    return { state: 'starting', reason: 'our own former connection, which is dead, still holds the slot' }
  }

  /** Opens the stream, however long another process has the slot; null when aborted meanwhile. */
  async function openWhenFree(inbox: Inbox, signal: AbortSignal) {
    while (!signal.aborted) {
      try {
        return await openStream({
          url: source.url,
          slotName,
          publicationName,
          silenceLimitMs,
          handler: inbox,
        })
      } catch (error) {
        if ((error as { code?: string }).code !== slotIsActive) throw error
        enter(await whoHasTheSlot())
        await sleep(standbyPollMs * (1 + Math.random()), signal)
      }
    }
    return null
  }

  async function run(signal: AbortSignal): Promise<void> {
    const setup = await setUp(source, outbox, {
      slotName,
      publicationName,
      mapping,
      onWaiting: what => enter({ state: 'starting', reason: `waiting for ${what}` }),
    })
    if (setup.kind === 'blocked') throw new CaptureBlocked(setup.problems)
    if (setup.kind === 'lost')
      throw new CaptureLost(`${setup.reason}: ${setup.detail}. To go on, run: walhook resync`)
    const catalogue = await readCatalogue(source, mapping)
    const columns = createColumnTeller(options)
    await columns.all(catalogue)

    let stream: Stream | null = null
    const inbox = createInbox({
      maxBytes: maxBufferedBytes,
      batchBytes,
      onFull: () => stream?.pause(),
      onDrained: () => stream?.resume(),
    })
    stream = await openWhenFree(inbox, signal)
    if (!stream) return
    ownBackend = stream.backendPid
    progress.begin(stream.silentMs)
    enter({ state: 'streaming', reason: null })
    // However it ends, what is being stored is stored to the end before anything else begins.
    const closed = new AbortController()
    const close = () => {
      inbox.close()
      closed.abort()
    }
    signal.addEventListener('abort', close, { once: true })
    stream.over.catch(() => {}).finally(close)
    const over = new AbortController()
    const watching = watchTables(over.signal).finally(close)
    watching.catch(() => {})
    void sendProbes(over.signal)
    const teller = createPageTeller({ source })
    void tellPages(teller, over.signal)
    const release = createWalRelease({ source, nowMs, log })
    const { confirm } = stream
    try {
      // Read only now: the process that had the slot before may have moved it.
      const position = await readPosition(outbox, slotName)
      if (!position) throw new Error(`the position of slot ${slotName} is gone from walhook.positions`)
      await consume({
        inbox,
        map: createMapper({
          source,
          mapping,
          catalogue,
          async reloadCatalogue() {
            const problems = await judgeTables(source, options)
            if (problems.length > 0) throw new CaptureBlocked(problems)
            const reloaded = await readCatalogue(source, mapping)
            await columns.added(reloaded)
            return reloaded
          },
          readBefore: position.readLsn,
          signal: closed.signal,
        }),
        outbox,
        slotName,
        position,
        nowMs,
        confirm(lsn) {
          confirm(lsn)
          release.onConfirmed(lsn)
        },
        onStored,
        offerBirths: options.offerBirths,
        onWaiting: progress.waiting,
        pages: teller,
        onProbe(id) {
          probe = id
          if (/^\d+$/.test(id)) probeMs = nowMs() - Number(id)
        },
      }).catch(error => {
        if (!(error instanceof StreamOver)) throw error
      })
      over.abort()
      await watching
      if (!signal.aborted) await stream.over
    } finally {
      over.abort()
      signal.removeEventListener('abort', close)
      await stream.close()
    }
  }

  /** A table that is dropped or leaves the publication says nothing in the stream: it is looked for. */
  async function watchTables(signal: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(options.watchMs ?? 30_000, signal)
      if (signal.aborted) return
      const problems = await judgeTables(source, options).catch(() => [])
      if (problems.length > 0) throw new CaptureBlocked(problems)
    }
  }

  /** Resyncs and backfills take turns, page by page. */
  async function tellPages(teller: PageTeller, signal: AbortSignal): Promise<void> {
    const work = { source, outbox, slotName, mapping, teller, nowMs, log }
    const kinds = [createResyncs(work), createBackfills(work)]
    while (!signal.aborted) {
      let waitMs = longestPageWaitMs
      let isIdle = true
      for (const kind of kinds) {
        const turn = await kind.takeNextTurn(signal).catch(error => {
          if (!signal.aborted) log.warn('pages.failed', { reason: describeError(error) })
          return { waitMs: longestPageWaitMs / 2, isIdle: false }
        })
        waitMs = Math.min(waitMs, turn.waitMs)
        isIdle &&= turn.isIdle
      }
      if (isIdle) teller.rest()
      await sleep(waitMs, signal)
    }
  }

  /**
   * Writes a message into the source's WAL now and then, to see how long it takes until everything before it is
   * stored. Where no interval was asked for, only where other WAL was written: an idle source stays idle.
   */
  async function sendProbes(signal: AbortSignal): Promise<void> {
    const { probeIntervalMs } = options
    let last = 0n
    for (;;) {
      await sleep(probeIntervalMs ?? usualProbeIntervalMs, signal)
      if (signal.aborted) return
      try {
        const { walEnd } = await readSlotStatus(source, slotName)
        if (!probeIntervalMs && walEnd < last + probeAfterBytes) continue
        await source.pool.query('select pg_logical_emit_message(false, $1, $2)', [
          probePrefix,
          String(nowMs()),
        ])
        last = walEnd
      } catch (error) {
        log.debug('capture.probe_failed', { reason: describeError(error) })
      }
    }
  }

  function currentState(): CaptureState {
    const reason = state.state === 'streaming' ? progress.lag() : null
    return reason === null ? state : { state: 'lagging', reason }
  }

  function onStored(stored: Stored) {
    progress.stored(stored.committedAt)
    silenceLimitMs = usualSilenceLimitMs
    for (const { entityType, entityId, actionType, reason } of stored.parked)
      log.error('capture.parked', {
        entity_type: entityType,
        entity_id: entityId,
        action_type: actionType,
        reason,
      })
    for (const table of stored.truncated)
      log.error('capture.truncated', {
        table,
        because:
          'the WAL does not name the rows: deletes are sent only where the mapping says on_truncate: delete',
      })
    options.onStored(stored)
  }

  return {
    name: 'capture',
    state: currentState,
    stall: () => (state.state === 'streaming' ? progress.stall() : null),
    lastProbe: () => probe,
    probeMs: () => probeMs,
    async run(signal) {
      if (state.state !== 'starting') enter({ state: 'starting', reason: state.reason })
      try {
        await run(signal)
      } catch (error) {
        if (error instanceof LinkDead) silenceLimitMs = Math.min(2 * silenceLimitMs, longestSilenceLimitMs)
        const reason = describeError(error)
        if (error instanceof CaptureBlocked) enter({ state: 'blocked', reason })
        else if (error instanceof CaptureLost) enter({ state: 'lost', reason })
        else enter({ state: 'starting', reason })
        throw error
      }
    },
  }
}
