import type { Lsn } from '../domain/value/lsn.ts'
import type { Outbox } from '../outbox/database/database.ts'
import type { Position } from '../outbox/log/position.ts'
import type { Pages } from './backfill/pages.ts'
import { throwOfStoring } from './continuity/failure.ts'
import type { Mapped } from './map/map.ts'
import { createTruncations } from './map/truncations.ts'
import { canFollow, createEventIds, createGatherer, emptyGathered, isFull } from './store/gather.ts'
import { type AppendedEvents, createStorer, type Stored } from './store/store.ts'
import type { Batch, Inbox, TransactionPart } from './stream/inbox.ts'

/**
 * Stores what the inbox gives until it is closed: maps, appends and moves the position in one commit, and only
 * then confirms to the server. While one append is on its way, what comes meanwhile is gathered for the next. A
 * transaction that comes in chunks is appended in one outbox transaction, which stays open until its last chunk: it
 * becomes visible whole or not at all, and memory holds a few chunks.
 *
 * A page of a backfill has its place in this order, at its mark: events, cursor and position commit together.
 *
 * Nothing is confirmed before the outbox has noted it, so a slot that stands further was moved by somebody else.
 * Throws `PositionMoved` where another process has taken over.
 */
export async function consume(options: {
  inbox: Pick<Inbox, 'take' | 'hasMore'>
  map: (parts: readonly TransactionPart[], isWhole: boolean, mostBytes: number) => Promise<Mapped>
  outbox: Outbox
  slotName: string
  position: Position
  nowMs: () => number
  confirm: (lsn: Lsn) => void
  onStored: (stored: Stored) => void
  onProbe: (id: string) => void
  onAppended?: ((appended: AppendedEvents) => void) | undefined
  /** Since when the oldest batch waits that was taken and is not stored; null where all are. */
  onWaiting: (sinceMs: number | null) => void
  pages: Pages
}): Promise<void> {
  const { inbox, position } = options
  const truncations = createTruncations()
  const ids = createEventIds(position.lastEventId, options.nowMs)
  const gather = createGatherer({ ...options, storedLsn: position.commitLsn, ids, truncations })
  const storer = createStorer({ ...options, ids, truncations })
  let gathered = emptyGathered()
  let spare = emptyGathered()
  /** Batches that were taken, and must wait until what is gathered is on its way. */
  let held: readonly Batch[] = []
  /** What was thrown while more was read: everything before it is stored first. */
  let failed: { readonly error: unknown } | null = null
  let storing = null as Promise<void> | null
  let storingSinceMs: number | null = null

  /** Since when a batch is mapped, which may wait for a table that it reads. */
  let mappingSinceMs: number | null = null
  const tellWaiting = () => options.onWaiting(storingSinceMs ?? gathered.takenAtMs ?? mappingSinceMs)

  function startStoring() {
    const { takenAtMs, events } = gathered
    storingSinceMs = takenAtMs
    storing = storer
      .store(gathered)
      .catch(throwOfStoring)
      .then(() => {
        spare = emptyGathered(events)
        storing = null
        storingSinceMs = null
        tellWaiting()
      })
    // Whoever waits for it hears of its failure, or the end does.
    storing.catch(() => {})
    gathered = spare
  }

  /** Waits for what is being stored, or for something that can be gathered meanwhile. */
  async function waitFor(stored: Promise<void>): Promise<void> {
    // What a TRUNCATE deletes is found by what is stored, and its events have their ids before those that follow.
    const mayGather = held.length === 0 && !failed && !isFull(gathered) && !truncations.isPending()
    const hasMore = mayGather && (await Promise.race([stored.then(() => true), inbox.hasMore()]))
    if (!hasMore) await stored
  }

  /** Takes the next batch and adds it to what is gathered; false where what was gathered must be stored first. */
  async function gatherNext(): Promise<boolean> {
    if (failed) return false
    try {
      const mayTake = !isFull(gathered) && !(storing && truncations.isPending())
      const batch: Batch | null = mayTake ? (held[0] ?? inbox.take()) : null
      if (!batch) return false
      held = held.length > 0 ? held : [batch]
      if (!canFollow(gathered, batch)) return false
      mappingSinceMs = options.nowMs()
      tellWaiting()
      const left = await gather(gathered, batch)
      held = [...left, ...held.slice(1)]
      return true
    } catch (error) {
      if (gathered.isSpoiled) throw error
      failed = { error }
      return false
    } finally {
      mappingSinceMs = null
    }
  }

  try {
    for (;;) {
      if (!(await gatherNext())) {
        if (storing) await waitFor(storing)
        else if (gathered.takenAtMs !== null) startStoring()
        else if (failed) throw (failed as { error: unknown }).error
        else if (!(await inbox.hasMore())) break
      }
      tellWaiting()
    }
    await storer.noteLast()
  } finally {
    // What is being stored is stored to the end before anything else begins.
    await storing?.catch(() => {})
    await storer.abandon()
  }
}
