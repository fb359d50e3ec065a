import type { Pages } from './backfill/pages.ts'
import { throwOfStoring } from './continuity/failure.ts'
import type { Mapped } from './map/map.ts'
import {
  canFollow,
  createEventIds,
  createGatherer,
  emptyGathered,
  type Gathered,
  isFull,
} from './store/gather.ts'
import { abandon, noteLast, store } from './store/store.ts'
import { type StorerOptions, startStoring } from './store/storing.ts'
import { createTruncations } from './store/truncations.ts'
import type { Batch, TransactionPart } from './stream/batch.ts'
import type { Inbox } from './stream/inbox.ts'

type Consuming = {
  readonly inbox: Pick<Inbox, 'take' | 'hasMore'>
  readonly gather: ReturnType<typeof createGatherer>
  readonly truncations: ReturnType<typeof createTruncations>
  readonly nowMs: () => number
  readonly onWaiting: (sinceMs: number | null) => void
  gathered: Gathered
  /** The one whose memory is used again once it is stored. */
  spare: Gathered
  /** Batches that were taken, and must wait until what is gathered is on its way. */
  held: readonly Batch[]
  /** What was thrown while more was read: everything before it is stored first. */
  failed: { readonly error: unknown } | null
  storing: Promise<void> | null
  storingSinceMs: number | null
  /** Since when a batch is mapped, which may wait for a table that it reads. */
  mappingSinceMs: number | null
}

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
export async function consume(
  options: Omit<StorerOptions, 'ids' | 'truncations'> & {
    inbox: Pick<Inbox, 'take' | 'hasMore'>
    map: (parts: readonly TransactionPart[], isWhole: boolean, mostBytes: number) => Promise<Mapped>
    /** Since when the oldest batch waits that was taken and is not stored; null where all are. */
    onWaiting: (sinceMs: number | null) => void
    pages: Pages
  },
): Promise<void> {
  const { inbox, nowMs, onWaiting, position } = options
  const truncations = createTruncations()
  const ids = createEventIds(position.lastEventId, nowMs)
  const into = startStoring({ ...options, ids, truncations })
  const consuming: Consuming = {
    ...{ inbox, truncations, nowMs, onWaiting },
    gather: createGatherer({ ...options, storedLsn: position.commitLsn, ids, truncations }),
    gathered: emptyGathered(),
    spare: emptyGathered(),
    held: [],
    failed: null,
    storing: null,
    storingSinceMs: null,
    mappingSinceMs: null,
  }
  try {
    for await (const gathered of gatherings(consuming))
      noteStoring(consuming, gathered, store(into, gathered))
    await noteLast(into)
  } finally {
    // What is being stored is stored to the end before anything else begins.
    await consuming.storing?.catch(() => {})
    abandon(into)
  }
}

/** What is to be stored, one append after the other; each once the one before is stored. Ends when the inbox is closed. */
async function* gatherings(consuming: Consuming): AsyncGenerator<Gathered, void> {
  for (;;) {
    if (!(await gatherNext(consuming))) {
      const { storing, gathered, failed } = consuming
      if (storing) await waitFor(consuming, storing)
      else if (gathered.takenAtMs !== null) yield gathered
      else if (failed) throw failed.error
      else if (!(await consuming.inbox.hasMore())) return
    }
    tellWaiting(consuming)
  }
}

/** `gathered` is being stored: what comes now is gathered behind it. */
function noteStoring(consuming: Consuming, gathered: Gathered, stored: Promise<void>): void {
  consuming.storingSinceMs = gathered.takenAtMs
  consuming.storing = stored.catch(throwOfStoring).then(() => {
    consuming.spare = emptyGathered(gathered.events)
    consuming.storing = null
    consuming.storingSinceMs = null
    tellWaiting(consuming)
  })
  // Whoever waits for it hears of its failure, or the end does.
  consuming.storing.catch(() => {})
  consuming.gathered = consuming.spare
}

/** Waits for what is being stored, or for something that can be gathered meanwhile. */
async function waitFor(consuming: Consuming, stored: Promise<void>): Promise<void> {
  const { held, failed, gathered, truncations, inbox } = consuming
  // What a TRUNCATE deletes is found by what is stored, and its events have their ids before those that follow.
  const mayGather = held.length === 0 && !failed && !isFull(gathered) && !truncations.isPending()
  const hasMore = mayGather && (await Promise.race([stored.then(() => true), inbox.hasMore()]))
  if (!hasMore) await stored
}

/** Takes the next batch and adds it to what is gathered; false where what was gathered must be stored first. */
async function gatherNext(consuming: Consuming): Promise<boolean> {
  const { gathered, storing, truncations, held, inbox } = consuming
  if (consuming.failed) return false
  try {
    const mayTake = !isFull(gathered) && !(storing && truncations.isPending())
    const batch = mayTake ? (held[0] ?? inbox.take()) : null
    if (!batch) return false
    const waiting = held.length > 0 ? held : [batch]
    consuming.held = waiting
    if (!canFollow(gathered, batch)) return false
    consuming.mappingSinceMs = consuming.nowMs()
    tellWaiting(consuming)
    const left = await consuming.gather(gathered, batch)
    consuming.held = [...left, ...waiting.slice(1)]
    return true
  } catch (error) {
    if (gathered.isSpoiled) throw error
    consuming.failed = { error }
    return false
  } finally {
    consuming.mappingSinceMs = null
  }
}

function tellWaiting({ storingSinceMs, gathered, mappingSinceMs, onWaiting }: Consuming): void {
  onWaiting(storingSinceMs ?? gathered.takenAtMs ?? mappingSinceMs)
}
