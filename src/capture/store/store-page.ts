import type { PoolClient } from 'pg'
import { kindOfError } from '../../domain/capture/capture-failures.ts'
import type { StoredEvent } from '../../domain/event/event.ts'
import type { TracedEvent } from '../../domain/shown/spans.ts'
import type { Lsn } from '../../domain/value/lsn.ts'
import { transaction } from '../../outbox/database/database.ts'
import { append, PositionMoved } from '../../outbox/log/append.ts'
import { appendEach, isRefused } from '../../outbox/log/append-each.ts'
import { eventColumnsOf } from '../../outbox/log/event-columns.ts'
import { asArrived } from '../../outbox/source/arrivals.ts'
import { advanceBackfill } from '../../outbox/source/backfills.ts'
import { asFannedOut } from '../../outbox/source/fan-outs.ts'
import { advanceResync, asKnown } from '../../outbox/source/resyncs.ts'
import { describeError } from '../../runtime/log.ts'
import type { PageEnd, PageStep } from '../backfill/backfill-window.ts'
import { PageRefused } from '../backfill/page-failure.ts'
import type { GatheredPage } from './gather.ts'
import { inSavepoint, noteTraced, reportAppended, type Storing } from './storing.ts'

/**
 * Stores a page of a backfill or resync, unless that ended or restarted, or the page can't be stored: that fails the page,
 * not the stream.
 */
export async function storePage(storing: Storing, page: GatheredPage, confirmableLsn: Lsn): Promise<void> {
  const { taken, commitLsn, committedAt } = page
  const { tally, notes, trace, nowMs } = storing
  const startMs = trace ? nowMs() : 0
  const stored = await transaction(storing.outbox.pool, client =>
    appendPage(client, storing, page, confirmableLsn),
  ).catch(endOfFailed)
  taken.settle('parked' in stored ? 'stored' : stored.end)
  if (!('parked' in stored)) return
  notes.ride(confirmableLsn)
  storing.commitLsn = commitLsn
  tally.events += stored.count
  tally.parked.push(...stored.parked)
  tally.committedAt = committedAt
  const { lastEventId, webhooksVersion, events, setAside } = stored
  if (trace) {
    const traced: TracedEvent[] = []
    for (const event of events) trace.pick(traced, event)
    noteTraced(storing, startMs, { traced, events: events.length, setAside })
  }
  if (lastEventId !== undefined) reportAppended(storing, { lastEventId, webhooksVersion, events: null })
}

async function appendPage(
  client: PoolClient,
  { slotName, commitLsn: expected }: Storing,
  { taken, events: gathered, parked, commitLsn }: GatheredPage,
  confirmableLsn: Lsn,
) {
  const { step, webhookId } = taken.content
  const events = await eventsToSend(client, step, gathered)
  const input = {
    slotName,
    expected,
    commitLsn,
    confirmableLsn,
    lastEventId: gathered.at(-1)?.id ?? 0n,
    events,
    parked,
    onlyWebhookId: webhookId,
  }
  const { webhooksVersion, setAside } = await inSavepoint(client, async tx => ({
    ...(await append(tx, input)),
    setAside: [],
  })).catch(async error => {
    if (!isRefused(error)) throw error
    return await appendEach(client, { ...input, events: eventColumnsOf(events) })
  })
  const deletes = events.filter(({ actionType }) => actionType === 'delete').length
  const goesOn =
    step.of === 'resync' ? await advanceResync(client, step, deletes) : await advanceBackfill(client, step)
  if (!goesOn) throw new PageOver()
  return {
    events,
    setAside,
    count: events.length - setAside.length,
    lastEventId: events.at(-1)?.id,
    webhooksVersion,
    parked: [...parked, ...setAside],
  }
}

/** The events of a page, adapted to what receivers know. */
async function eventsToSend(
  client: PoolClient,
  step: PageStep,
  events: readonly StoredEvent[],
): Promise<readonly StoredEvent[]> {
  if (step.of === 'backfill') return events
  if (step.fanOut) return await asFannedOut(client, step.fanOut, events)
  return step.part === 'entities'
    ? await asArrived(client, step, events)
    : await asKnown(client, step, events)
}

/** Thrown to roll a page back. */
class PageOver extends Error {}

/** The end of an unstored page. Throws on errors that stop all storing. */
function endOfFailed(error: unknown): { readonly end: PageEnd } {
  if (error instanceof PageOver) return { end: 'ended' }
  if (error instanceof PositionMoved || kindOfError(error as Error) !== null) throw error
  return { end: { failed: new PageRefused(describeError(error)) } }
}
