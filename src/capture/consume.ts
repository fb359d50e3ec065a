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
  /** Reusable memory of a stored batch. */
  spare: Gathered
  /** Batches that wait until the gathered ones are being stored. */
  held: readonly Batch[]
  /** An error of reading ahead: everything before it is stored first. */
  failed: { readonly error: unknown } | null
  storing: Promise<void> | null
  storingSinceMs: number | null
  /** Since when a batch is being mapped, which may wait for a table. */
  mappingSinceMs: number | null
}

/**
 * Stores what the inbox gives until it closes: maps, appends and moves the position in one commit, and only then confirms to
 * the server. During an append, further batches are gathered for the next. A transaction in chunks is one outbox transaction
 * until its last chunk: it becomes visible as a whole, with a few chunks in memory.
 *
 * A backfill page is stored at its mark: events, cursor and position commit together.
 *
 * The outbox records a position before it is confirmed, so a slot beyond it was moved by someone else. Throws `PositionMoved`
 * if another process has taken over.
 */
export async function consume(
  options: Omit<StorerOptions, 'ids' | 'truncations'> & {
    inbox: Pick<Inbox, 'take' | 'hasMore'>
    map: (parts: readonly TransactionPart[], isWhole: boolean, maxBytes: number) => Promise<Mapped>
    /** Since when the oldest taken batch is unstored; null: none is. */
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
    // A running append finishes first.
    await consuming.storing?.catch(() => {})
    abandon(into)
  }
}

/** The appends, one after the other. Ends when the inbox closes. */
async function* gatherings(consuming: Consuming): AsyncGenerator<Gathered, void> {
  for (;;) {
    if (!(await gatherNext(consuming))) {
      const { storing, gathered, failed } = consuming
      if (storing) await waitFor(consuming, storing)
      else if (gathered.takenAtMs !== null) yield gathered
      else if (failed) throw failed.error
      else if (!(await consuming.inbox.hasMore())) return
    }
    reportWaiting(consuming)
  }
}

/** `gathered` is being stored: new batches are gathered for the next append. */
function noteStoring(consuming: Consuming, gathered: Gathered, stored: Promise<void>): void {
  consuming.storingSinceMs = gathered.takenAtMs
  consuming.storing = stored.catch(throwOfStoring).then(() => {
    consuming.spare = emptyGathered(gathered.events)
    consuming.storing = null
    consuming.storingSinceMs = null
    reportWaiting(consuming)
  })
  // The waiting code gets its failure, or the end does.
  consuming.storing.catch(() => {})
  consuming.gathered = consuming.spare
}

/** Waits for the running append, or for a batch to gather meanwhile. */
async function waitFor(consuming: Consuming, stored: Promise<void>): Promise<void> {
  const { held, failed, gathered, truncations, inbox } = consuming
  // The deletes of a TRUNCATE depend on stored events, and their ids precede later ones.
  const mayGather = held.length === 0 && !failed && !isFull(gathered) && !truncations.isPending()
  const hasMore = mayGather && (await Promise.race([stored.then(() => true), inbox.hasMore()]))
  if (!hasMore) await stored
}

/** Adds the next batch to the gathered ones; false: they must be stored first. */
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
    reportWaiting(consuming)
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

function reportWaiting({ storingSinceMs, gathered, mappingSinceMs, onWaiting }: Consuming): void {
  onWaiting(storingSinceMs ?? gathered.takenAtMs ?? mappingSinceMs)
}
