import type { Pool, PoolClient } from 'pg'
import { kindOfError } from '../../domain/capture/capture-failures.ts'
import type { ParkedChange, StoredEvent } from '../../domain/event/event.ts'
import type { Lsn } from '../../domain/value/lsn.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { type Outbox, transaction } from '../../outbox/database/database.ts'
import { append, PositionMoved } from '../../outbox/log/append.ts'
import { appendEach, isRefused } from '../../outbox/log/append-each.ts'
import { type EventColumns, eventColumnsOf } from '../../outbox/log/event-columns.ts'
import { type LogEvent, toLogEvent } from '../../outbox/log/log.ts'
import { noteConfirmed, type Position } from '../../outbox/log/position.ts'
import { asArrived } from '../../outbox/source/arrivals.ts'
import { advanceBackfill } from '../../outbox/source/backfills.ts'
import { advanceResync, asKnown } from '../../outbox/source/resyncs.ts'
import { describeError } from '../../runtime/log.ts'
import type { PageEnd, PageStep } from '../backfill/backfill-window.ts'
import { PageRefused } from '../backfill/page-failure.ts'
import type { Truncations } from '../map/truncations.ts'
import { createNotes } from '../stream/notes.ts'
import type { EventIds, Gathered, GatheredPage } from './gather.ts'

/** What was stored with one commit of the outbox. */
export type Stored = {
  readonly changes: number
  readonly events: number
  /** Tables that a TRUNCATE emptied: their rows' ids are not in the WAL. */
  readonly truncated: readonly string[]
  readonly parked: readonly ParkedChange[]
  /** When the last of the source's transactions committed there. */
  readonly committedAt: Date
}

/** Events that were appended with one commit. */
export type AppendedEvents = {
  /** The newest event of the log before them: nothing is in between. */
  readonly previousEventId: TimeId
  readonly lastEventId: TimeId
  /** The newest version of the webhooks that any of them was appended under. */
  readonly webhooksVersion: number
  /** As they would be read; null: they are to be read. */
  readonly events: readonly LogEvent[] | null
}

/** Appends what was gathered, one after the other, and confirms what has committed. */
export function createStorer(options: {
  outbox: Outbox
  slotName: string
  position: Position
  ids: EventIds
  truncations: Truncations
  nowMs: () => number
  confirm: (lsn: Lsn) => void
  onStored: (stored: Stored) => void
  onProbe: (id: string) => void
  /** Called after each commit that has made events visible, in their order. */
  onAppended?: ((appended: AppendedEvents) => void) | undefined
}) {
  const { outbox, slotName, ids, truncations } = options
  let { commitLsn } = options.position
  const notes = createNotes(options.position.confirmedLsn ?? 0n, options.nowMs)
  /** The outbox transaction of a source transaction that needs more than one statement; most of the time there is none. */
  let client: PoolClient | null = null
  let tally = emptyTally()
  /** What the open transaction has appended. */
  let uncommitted: Omit<AppendedEvents, 'previousEventId'> | null = null
  /** The newest event that has committed. */
  let newestEventId = options.position.lastEventId
  /** How far the appends since the last commit note that the slot may be confirmed. */
  let appendedLsn: Lsn = 0n

  async function begin(): Promise<void> {
    if (client) return
    client = await outbox.pool.connect()
    await client.query('begin')
  }

  async function commit(): Promise<void> {
    if (!client) return
    await client.query('commit')
    client.release()
    client = null
    if (uncommitted) tellAppended(uncommitted)
    uncommitted = null
  }

  function tellAppended(appended: Omit<AppendedEvents, 'previousEventId'>) {
    options.onAppended?.({ previousEventId: newestEventId, ...appended })
    newestEventId = appended.lastEventId
  }

  async function appendAll(input: {
    to: Lsn
    /** How far the slot may be confirmed with the commit of this; absent: no further than before. */
    confirmableLsn?: Lsn
    lastEventId: bigint
    readLsn: Lsn | null
    events: readonly StoredEvent[] | EventColumns
    /** The events as they are, where they are kept. */
    kept?: readonly StoredEvent[] | null
    parked: readonly ParkedChange[]
  }): Promise<void> {
    const { to, kept = null, confirmableLsn = notes.noted(), ...rest } = input
    const position = { slotName, expected: commitLsn, commitLsn: to, confirmableLsn }
    const { webhooksVersion, setAside } = await appendOrEach({ ...rest, ...position })
    commitLsn = to
    appendedLsn = confirmableLsn
    tally.parked.push(...setAside)
    tally.events -= setAside.length
    const count = 'add' in rest.events ? rest.events.count() : rest.events.length
    if (count === 0) return
    const { lastEventId } = rest
    const isKept = kept !== null && setAside.length === 0
    if (client) uncommitted = { lastEventId, webhooksVersion, events: null }
    else
      tellAppended({
        lastEventId,
        webhooksVersion,
        events: isKept ? kept.map(event => toLogEvent(event, webhooksVersion, null)) : null,
      })
  }

  /** Appends all at once; where the outbox refuses that, each of the events that it takes, and sets the others aside. */
  async function appendOrEach(
    input: Parameters<typeof append>[1],
  ): Promise<{ webhooksVersion: number; setAside: readonly ParkedChange[] }> {
    try {
      const once = (db: Pool | PoolClient) => append(db, input)
      const { webhooksVersion } = await (client ? inSavepoint(client, once) : once(outbox.pool))
      return { webhooksVersion, setAside: [] }
    } catch (error) {
      if (!isRefused(error)) throw error
      const events = 'add' in input.events ? input.events : eventColumnsOf(input.events)
      const each = (tx: PoolClient) => appendEach(tx, { ...input, events })
      return client ? await each(client) : await transaction(outbox.pool, each)
    }
  }

  /** A `delete` of everything that was in the tables which the transaction emptied, behind its own events. */
  async function storeDeletions(of: NonNullable<Gathered['last']>, indexFrom: number): Promise<void> {
    let index = indexFrom
    for await (const page of truncations.deletions(client!)) {
      const events = page.map(event => ({ ...event, ...of, index: index++, id: ids.next() }))
      await appendAll({ to: of.commitLsn, lastEventId: ids.last(), readLsn: null, events, parked: [] })
      tally.events += events.length
    }
  }

  /**
   * Stores a page of a backfill or a resync; nothing of it where that has ended, or begun anew, or where storing fails by
   * what the page is: then the page has failed, and not the stream.
   */
  async function storePage(
    { taken, parked, commitLsn: markLsn, committedAt, ...page }: GatheredPage,
    confirmableLsn: Lsn,
  ): Promise<void> {
    const { step, webhookId } = taken.content
    const stored = await transaction(outbox.pool, async client => {
      const events = await asTold(client, step, page.events)
      const input = {
        slotName,
        expected: commitLsn,
        commitLsn: markLsn,
        confirmableLsn,
        lastEventId: page.events.at(-1)?.id ?? 0n,
        events,
        parked,
        onlyWebhookId: webhookId,
      }
      const appended = await inSavepoint(client, async tx => ({
        ...(await append(tx, input)),
        setAside: [],
      })).catch(async error => {
        if (!isRefused(error)) throw error
        return await appendEach(client, { ...input, events: eventColumnsOf(events) })
      })
      const { webhooksVersion, setAside } = appended
      const deletes = events.filter(({ actionType }) => actionType === 'delete').length
      const goesOn =
        step.of === 'resync'
          ? await advanceResync(client, step, deletes)
          : await advanceBackfill(client, step)
      if (!goesOn) throw new PageOver()
      return {
        count: events.length - setAside.length,
        lastEventId: events.at(-1)?.id,
        webhooksVersion,
        parked: [...parked, ...setAside],
      }
    }).catch(endOfFailed)
    taken.settle('parked' in stored ? 'stored' : stored.end)
    if (!('parked' in stored)) return
    notes.ride(confirmableLsn)
    commitLsn = markLsn
    tally.events += stored.count
    tally.parked.push(...stored.parked)
    tally.committedAt = committedAt
    const { lastEventId, webhooksVersion } = stored
    if (lastEventId !== undefined) tellAppended({ lastEventId, webhooksVersion, events: null })
  }

  async function note(lsn: Lsn): Promise<void> {
    if (!(await noteConfirmed(outbox, slotName, { commitLsn, confirmedLsn: lsn })))
      throw new PositionMoved(slotName, commitLsn)
    notes.add(lsn)
  }

  /** Confirms what is noted; what is not is noted first, or, where that is not due yet, left for later. */
  async function confirm(lsn: Lsn): Promise<void> {
    if (notes.isDue(lsn)) await note(lsn)
    if (lsn <= notes.noted()) options.confirm(lsn)
  }

  function count({ events, parked, changes, truncated, last }: Gathered) {
    tally.truncated.push(...truncated)
    tally.parked.push(...parked)
    tally.changes += changes
    tally.events += events.count()
    if (last) tally.committedAt = last.committedAt
  }

  return {
    async store(gathered: Gathered): Promise<void> {
      const { events, kept, parked, last, lastEventId, readLsn, confirmLsn, probe, page, deletionsFrom } =
        gathered
      count(gathered)
      if (last && (confirmLsn === null || deletionsFrom !== null)) await begin()
      if (last && (client || events.count() + parked.length > 0))
        await appendAll({
          to: last.commitLsn,
          ...(confirmLsn !== null && { confirmableLsn: confirmLsn }),
          lastEventId,
          readLsn,
          events,
          kept,
          parked,
        })
      if (last && deletionsFrom !== null) await storeDeletions(last, deletionsFrom)
      if (confirmLsn === null) return
      await commit()
      notes.ride(appendedLsn)
      if (page) await storePage(page, confirmLsn)
      await confirm(confirmLsn)
      if (tally.changes + tally.events > 0) options.onStored(tally)
      if (probe !== null) options.onProbe(probe)
      tally = emptyTally()
    },

    /** Chunks that are not committed have moved the position only for themselves: a note would not find it. */
    async noteLast(): Promise<void> {
      const reached = notes.reached()
      if (client || reached <= notes.noted()) return
      await note(reached)
      options.confirm(reached)
    },

    /** Ends the connection, and with it what was not committed. */
    async abandon(): Promise<void> {
      client?.release(true)
      client = null
    },
  }
}

/** The events of a page, as what receivers know makes them. */
async function asTold(
  client: PoolClient,
  step: PageStep,
  events: readonly StoredEvent[],
): Promise<readonly StoredEvent[]> {
  if (step.of === 'backfill') return events
  return step.part === 'entities'
    ? await asArrived(client, step, events)
    : await asKnown(client, step, events)
}

async function inSavepoint<T>(client: PoolClient, work: (client: PoolClient) => Promise<T>): Promise<T> {
  await client.query('savepoint chunk')
  try {
    const result = await work(client)
    await client.query('release savepoint chunk')
    return result
  } catch (error) {
    await client.query('rollback to savepoint chunk')
    throw error
  }
}

/** Thrown to leave nothing of a page behind. */
class PageOver extends Error {}

/** What becomes of a page that is not stored. Throws on what keeps anything from being stored. */
function endOfFailed(error: unknown): { readonly end: PageEnd } {
  if (error instanceof PageOver) return { end: 'ended' }
  if (error instanceof PositionMoved || kindOfError(error as Error) !== null) throw error
  return { end: { failed: new PageRefused(describeError(error)) } }
}

function emptyTally() {
  return {
    changes: 0,
    events: 0,
    truncated: [] as string[],
    parked: [] as ParkedChange[],
    committedAt: new Date(0),
  }
}
