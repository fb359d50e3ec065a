import { mendOf } from '../domain/capture/capture-code.ts'
import type { EntityMapping } from '../domain/mapping/mapping.ts'
import { formatLsn } from '../domain/value/lsn.ts'
import type { Outbox } from '../outbox/database/database.ts'
import { readPosition } from '../outbox/log/position.ts'
import type { Gap } from '../outbox/source/gaps.ts'
import { describeError, type Log } from '../runtime/log.ts'
import type { Service } from '../runtime/service.ts'
import { sleep } from '../runtime/sleep.ts'
import { createBackfills } from './backfill/backfill.ts'
import { type PagePace, usualPagePace, workOffPages } from './backfill/paged-work.ts'
import { createPageTeller, type PageTeller } from './backfill/pages.ts'
import { createResyncs } from './backfill/resync-entity.ts'
import { createRewriteJudge } from './backfill/rewrites.ts'
import { consume } from './consume.ts'
import { createFailures, isOfAPlace } from './continuity/failures.ts'
import type { Interruptions } from './continuity/interruptions.ts'
import { createJudge } from './continuity/judged-tables.ts'
import { lossBehind } from './continuity/loss-behind.ts'
import { CaptureBlocked, CaptureLost, type CaptureState, describeTableGaps } from './continuity/state.ts'
import { createWatch } from './continuity/watch.ts'
import { createMapper } from './map/map.ts'
import { StreamOver } from './map/missing.ts'
import { createColumnTeller } from './source/columns.ts'
import { createLearner } from './source/learn-catalogue.ts'
import type { Source } from './source/source.ts'
import { createWalRelease } from './source/wal-release.ts'
import { setUp } from './start/setup.ts'
import type { AppendedEvents, Stored } from './store/store.ts'
import { recordUnreadable, unreadableOf } from './store/unreadable-tables.ts'
import { createInbox, type Inbox } from './stream/inbox.ts'
import { sendProbes } from './stream/probes.ts'
import { createProgress } from './stream/progress.ts'
import { LinkDead, openStream, type Stream } from './stream/stream.ts'

type Watch = ReturnType<typeof createWatch>

/** What waits to be stored, in bytes of WAL, and how much of it is stored in one go. */
const maxBufferedBytes = 4 * 1024 * 1024
const batchBytes = 256 * 1024
const standbyPollMs = 1_000
const usualSilenceLimitMs = 20_000
const longestSilenceLimitMs = 200_000
const usualWatchMs = 2_500
const thoroughEvery = 12
const slotIsActive = '55006'
const tableGap = 'capture.table_gap'

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
  /** Called after each commit that has made events visible, for whoever delivers in this process. */
  onAppended?: (appended: AppendedEvents) => void
  /** How often the tables and the publication are compared with the mapping while streaming. */
  watchMs?: number
  /** How often it is looked for backfills and resyncs. */
  pagePace?: PagePace
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
  const { learn, noteNews } = createLearner(options)
  const stateAfter = createFailures(options)
  let streamingSinceMs: number | null = null
  let state: CaptureState = { state: 'starting', reason: null }
  const progress = createProgress({ nowMs, waitsFor: options.waitsFor ?? (() => null) })
  /** Gaps of tables that have not ended. */
  let openGaps: readonly Gap[] = []
  /** What nobody has asked for, and should long be told. */
  const overdue = new Map<string, string>()
  let probe: string | null = null
  let probeMs: number | null = null
  /** The server's process that sent to us last: it may hold the slot although the link to it is dead. */
  let ownBackend = 0
  /** Longer where nothing comes at all: a server may take its time over a huge transaction that is not for us. */
  let silenceLimitMs = usualSilenceLimitMs

  function enter(next: CaptureState) {
    if (next.state !== state.state || next.reason !== state.reason) {
      const { reason, ...rest } = next
      log[next.state === 'lost' ? 'error' : 'info']('capture.state', {
        ...rest,
        ...(reason !== null && { reason }),
        slot: slotName,
      })
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

  /** Judges the source, and makes what is not there yet. Throws where capture can't go on. */
  async function prepare() {
    const setup = await setUp(source, outbox, {
      slotName,
      publicationName,
      mapping,
      onWaiting: what => enter({ state: 'starting', reason: `waiting for ${what}` }),
    })
    if (setup.kind === 'lost') throw new CaptureLost(setup)
    onFound(setup.found)
    if (setup.kind === 'blocked') {
      await noteNews()
      throw new CaptureBlocked(setup.problems)
    }
    return setup
  }

  function onFound({ losses, arrivals }: Pick<Interruptions, 'losses' | 'arrivals'>) {
    for (const { table, reason, detail, fromLsn } of losses)
      log.error('capture.gap', { table, reason, detail, from_lsn: formatLsn(fromLsn) })
    for (const { table, name } of arrivals) log.info('capture.partition', { table, partition: name })
  }

  async function run(signal: AbortSignal): Promise<void> {
    await prepare()
    const catalogue = await learn()
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
    // However it ends, what is being stored is stored to the end before anything else begins.
    const closed = new AbortController()
    const close = () => {
      inbox.close()
      closed.abort()
    }
    signal.addEventListener('abort', close, { once: true })
    stream.over.catch(() => {}).finally(close)
    const over = new AbortController()
    let watch: Watch | null = null
    let watching: Promise<void> = Promise.resolve()
    const teller = createPageTeller({ source })
    const release = createWalRelease({ source, nowMs, log })
    const { confirm } = stream
    try {
      // Judged and read again: whoever had the slot before may have moved it, and now nobody else can.
      const { remembered } = await prepare()
      watch = createWatch({
        ...{ source, outbox, slotName, publicationName, mapping, remembered, onFound },
        judgeRewrites: createRewriteJudge({ source, teller, log }),
        onGaps(open) {
          openGaps = open.filter(({ tableName }) => tableName !== null)
        },
      })
      await look(watch, true)
      streamingSinceMs = nowMs()
      // What failed there each time may fail again: it is over once something is stored.
      if (!isOfAPlace(state)) enter({ state: 'streaming', reason: null })
      watching = watchTables(watch, over.signal).finally(close)
      watching.catch(() => {})
      const intervalMs = options.probeIntervalMs ?? null
      void sendProbes({ source, slotName, intervalMs, nowMs, log }, over.signal)
      void tellPages(teller, over.signal)
      const position = await readPosition(outbox, slotName)
      if (!position) throw new Error(`the position of slot ${slotName} is gone from walhook.positions`)
      const map = createMapper({
        source,
        mapping,
        catalogue,
        async reloadCatalogue() {
          await look(watch!, true)
          const reloaded = await learn()
          await columns.added(reloaded)
          return reloaded
        },
        readBefore: position.readLsn,
        unreadable: unreadableOf(openGaps),
        signal: closed.signal,
      })
      await consume({
        inbox,
        async map(parts, isWhole, mostBytes) {
          const mapped = await map(parts, isWhole, mostBytes)
          await recordUnreadable(options, mapped.unreadable)
          return mapped
        },
        outbox,
        slotName,
        position,
        nowMs,
        confirm(lsn) {
          confirm(lsn)
          release.onConfirmed(lsn)
        },
        onStored,
        onAppended: options.onAppended,
        onWaiting: progress.waiting,
        pages: teller,
        onProbe(id) {
          wentOn()
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
      await watch?.end().catch(error => log.debug('capture.look_failed', { reason: describeError(error) }))
    }
  }

  async function look(watch: Watch, isThorough: boolean): Promise<void> {
    const found = await watch.look(isThorough)
    if (found.kind === 'lost') throw new CaptureLost(found)
    if (found.kind === 'blocked' || found.isNews) await noteNews()
    if (found.kind === 'blocked') throw new CaptureBlocked(found.problems)
  }

  /** A database that does not answer is the stream's concern. */
  async function watchTables(watch: Watch, signal: AbortSignal): Promise<void> {
    for (let n = 1; ; n++) {
      await sleep(options.watchMs ?? usualWatchMs, signal)
      if (signal.aborted) return
      await look(watch, n % thoroughEvery === 0).catch(error => {
        if (error instanceof CaptureBlocked || error instanceof CaptureLost) throw error
        log.debug('capture.look_failed', { reason: describeError(error) })
      })
    }
  }

  async function tellPages(teller: PageTeller, signal: AbortSignal): Promise<void> {
    const judge = createJudge({ source, outbox, slotName, publicationName, nowMs })
    const pace = options.pagePace ?? usualPagePace
    const work = { source, outbox, slotName, mapping, teller, judge, nowMs, log, pace }
    await workOffPages([createResyncs(work), createBackfills(work)], { ...work, overdue }, signal)
  }

  function currentState(): CaptureState {
    if (state.state !== 'streaming') return state
    if (openGaps.length > 0)
      return { state: 'gap', reason: describeTableGaps(openGaps), code: tableGap, mend: mendOf(tableGap) }
    const reason = progress.lag() ?? [...overdue.values()][0] ?? null
    return reason === null ? state : { state: 'lagging', reason }
  }

  /** The place that could not be read or stored is behind. */
  function wentOn() {
    if (isOfAPlace(state)) enter({ state: 'streaming', reason: null })
  }

  function onStored(stored: Stored) {
    wentOn()
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
      streamingSinceMs = null
      // Until it is known to be mended, what has a code is still so.
      if (state.state !== 'starting' && state.code === undefined)
        enter({ state: 'starting', reason: state.reason })
      try {
        await run(signal)
      } catch (cause) {
        const error = await lossBehind(cause, source, outbox, options)
        if (error instanceof LinkDead) silenceLimitMs = Math.min(2 * silenceLimitMs, longestSilenceLimitMs)
        const ranMs = streamingSinceMs === null ? 0 : nowMs() - streamingSinceMs
        enter(await stateAfter(error, ranMs))
        throw error
      }
    },
  }
}
