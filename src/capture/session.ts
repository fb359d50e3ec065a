import { readPosition } from '../outbox/log/position.ts'
import { describeError } from '../runtime/log.ts'
import { createBackfills } from './backfill/backfill.ts'
import { defaultPagePace, workOffPages } from './backfill/paged-work.ts'
import { createPageMerger, type PageMerger } from './backfill/pages.ts'
import { createResyncs } from './backfill/resync-entity.ts'
import { createRewriteCheck } from './backfill/rewrites.ts'
import type { Capturing } from './capturing.ts'
import { consume } from './consume.ts'
import { createEntityCheck } from './continuity/check-entity.ts'
import { inspect, inspectRegularly, openWatch, prepare, type Watch } from './inspect.ts'
import { connect, noteAlive } from './link.ts'
import { createMapper } from './map/map.ts'
import { createReceivedRows, type ReceivedRows } from './related/received-rows.ts'
import { createColumnLog } from './source/columns.ts'
import { createWalRelease } from './source/wal-release.ts'
import { enterStreaming, noteProbe, noteStored } from './status.ts'
import { recordFanOuts } from './store/record-fan-outs.ts'
import { recordUnreadable, unreadableOf } from './store/unreadable-tables.ts'
import type { Inbox } from './stream/inbox.ts'
import { sendProbes } from './stream/probes.ts'
import type { Stream } from './stream/stream.ts'
import { StreamOver } from './stream/visibility.ts'

/** The parts that end together: the connection, and the work beside it. */
type Session = {
  readonly stream: Stream
  readonly inbox: Inbox
  readonly merger: PageMerger
  readonly receivedRows: ReceivedRows | undefined
  readonly columns: ReturnType<typeof createColumnLog>
  readonly catalogue: Awaited<ReturnType<Capturing['learn']>>
  /** Aborted with the inbox: reading from tables stops. */
  readonly closed: AbortSignal
}

/** Captures over one connection, until it ends or `signal` is aborted. Throws what ended it. */
export async function captureOnce(capturing: Capturing, signal: AbortSignal): Promise<void> {
  const { options, status } = capturing
  const { source, log } = options
  await prepare(capturing)
  const catalogue = await capturing.learn()
  const columns = createColumnLog(options)
  await columns.all(catalogue)
  const connection = await connect({ ...options, ...capturing }, signal)
  if (!connection) return
  const { stream, inbox } = connection
  status.progress.begin(stream.silentMs)
  // In any case, a running append finishes first.
  const closed = new AbortController()
  const close = () => {
    inbox.close()
    closed.abort()
  }
  signal.addEventListener('abort', close, { once: true })
  stream.over.catch(() => {}).finally(close)
  const over = new AbortController()
  let watch: Watch | null = null
  try {
    // Checked again: the slot's previous reader may have moved it, which is impossible from now on.
    const { remembered } = await prepare(capturing)
    const merger = createPageMerger({ source })
    watch = openWatch(capturing, { remembered, checkRewrites: createRewriteCheck({ source, merger, log }) })
    await inspect(capturing, watch, true)
    const receivedRows = openReceivedRows(options.mapping, source, merger)
    await receivedRows?.renew()
    enterStreaming(status)
    const watching = inspectRegularly(capturing, watch, over.signal).finally(close)
    watching.catch(() => {})
    workBeside(capturing, merger, over.signal)
    await store(
      capturing,
      { ...connection, merger, receivedRows, columns, catalogue, closed: closed.signal },
      watch,
    )
    over.abort()
    await watching
    if (!signal.aborted) await stream.over
  } finally {
    over.abort()
    signal.removeEventListener('abort', close)
    await stream.close()
    await watch
      ?.end()
      .catch(error => log.debug('capture.inspection_failed', { reason: describeError(error) }))
  }
}

/** Knows which rows the stream has delivered, for related fields through other tables. */
function openReceivedRows(
  mapping: Capturing['options']['mapping'],
  { pool }: Capturing['options']['source'],
  merger: PageMerger,
): ReceivedRows | undefined {
  const leads = mapping.some(({ related }) => related.some(({ through }) => through !== undefined))
  return leads ? createReceivedRows(pool, merger.setPassMark) : undefined
}

/** Probes, and pages of backfills and resyncs, until aborted. */
function workBeside({ options, status }: Capturing, merger: PageMerger, signal: AbortSignal): void {
  const { source, outbox, slotName, publicationName, mapping, receiversOf, nowMs, log } = options
  void sendProbes({ source, slotName, intervalMs: options.probeIntervalMs ?? null, nowMs, log }, signal)
  const checkEntity = createEntityCheck({ source, outbox, slotName, publicationName, nowMs })
  const pace = options.pagePace ?? defaultPagePace
  const work = { source, outbox, slotName, mapping, merger, receiversOf, checkEntity, nowMs, log, pace }
  const { overdue } = status
  void workOffPages([createResyncs(work), createBackfills(work)], { ...work, overdue }, signal)
}

/** Stores the stream until the inbox closes. */
async function store(capturing: Capturing, session: Session, watch: Watch): Promise<void> {
  const { options, status, link } = capturing
  const { outbox, slotName, nowMs } = options
  const position = await readPosition(outbox, slotName)
  if (!position) throw new Error(`the position of slot ${slotName} is gone from walhook.positions`)
  const map = openMapper(capturing, session, { watch, readBefore: position.readLsn })
  const release = createWalRelease(options)
  await consume({
    ...{ inbox: session.inbox, outbox, slotName, position, nowMs, pages: session.merger },
    async map(parts, isWhole, maxBytes) {
      const mapped = await map(parts, isWhole, maxBytes)
      await recordUnreadable(options, mapped.unreadable)
      await recordFanOuts(options, mapped.fanOuts)
      return mapped
    },
    confirm(lsn) {
      session.stream.confirm(lsn)
      release.onConfirmed(lsn)
    },
    onStored(stored) {
      noteAlive(link)
      noteStored(status, stored)
      options.onStored(stored)
    },
    onAppended: options.onAppended,
    trace: options.trace,
    onWaiting: status.progress.waiting,
    onProbe: id => noteProbe(status, id),
  }).catch(error => {
    if (!(error instanceof StreamOver)) throw error
  })
}

/** Creates the mapper of the stream's changes; its catalogue is read again when tables change. */
function openMapper(
  capturing: Capturing,
  { catalogue, columns, closed, receivedRows }: Session,
  { watch, readBefore }: { watch: Watch; readBefore: Parameters<typeof createMapper>[0]['readBefore'] },
) {
  const { options, status } = capturing
  return createMapper({
    ...{
      source: options.source,
      mapping: options.mapping,
      catalogue,
      readBefore,
      signal: closed,
    },
    async reloadCatalogue() {
      await inspect(capturing, watch, true)
      const reloaded = await capturing.learn()
      await columns.added(reloaded)
      return reloaded
    },
    unreadable: unreadableOf(status.openGaps),
    receivedRows,
  })
}
