import type { PoolClient } from 'pg'
import type { ParkedChange } from '../domain/event.ts'
import type { Lsn } from '../domain/lsn.ts'
import { append, PositionMoved } from '../outbox/append.ts'
import type { Outbox } from '../outbox/database.ts'
import { noteConfirmed, type Position } from '../outbox/position.ts'
import { createGatherer, emptyGathered, type Gathered, isFull } from './gather.ts'
import type { Batch, Inbox, TransactionPart } from './inbox.ts'
import type { Mapped } from './map.ts'

/** What was stored with one commit of the outbox. */
export type Stored = {
  readonly changes: number
  readonly events: number
  readonly deliveries: number
  /** Tables that a TRUNCATE emptied: their rows' ids are not in the WAL, so there are no events for them. */
  readonly truncated: readonly string[]
  readonly parked: readonly ParkedChange[]
  /** When the last of the source's transactions committed there. */
  readonly committedAt: Date
}

/**
 * How far ahead of a confirmation the outbox notes that the slot may be confirmed, in bytes: WAL without anything
 * of ours is then confirmed as it comes, and noted only now and then. A note writes WAL itself, and must not keep
 * itself busy.
 */
const confirmAheadBytes = 1_048_576n

/**
 * Stores what the inbox gives until it is closed: maps, appends and moves the position in one commit, and only
 * then confirms to the server. While one append is on its way, what comes meanwhile is gathered for the next. A
 * transaction that comes in chunks is appended in one outbox transaction, which stays open until its last chunk: it
 * becomes visible whole or not at all, and memory holds a few chunks.
 *
 * Nothing is confirmed beyond what the outbox notes, so that a slot which stands further was moved by somebody else;
 * on leaving, the note is made exact. Throws `PositionMoved` where another process has taken over.
 */
export async function consume(options: {
  inbox: Pick<Inbox, 'take' | 'hasMore'>
  map: (parts: readonly TransactionPart[]) => Promise<Mapped>
  outbox: Outbox
  slotName: string
  position: Position
  nowMs: () => number
  confirm: (lsn: Lsn) => void
  onStored: (stored: Stored) => void
  onProbe: (id: string) => void
  /** Since when the oldest batch waits that was taken and is not stored; null where all are. */
  onWaiting: (sinceMs: number | null) => void
}): Promise<void> {
  const { inbox } = options
  const gather = createGatherer({
    ...options,
    storedLsn: options.position.commitLsn,
    lastEventId: options.position.lastEventId,
  })
  const storer = createStorer(options)
  let gathered = emptyGathered()
  let spare = emptyGathered()
  /** The batch that can't be added to what is gathered before that is stored. */
  let held: Batch | null = null
  let storing = null as Promise<void> | null
  let storingSinceMs: number | null = null

  const tellWaiting = () => options.onWaiting(storingSinceMs ?? gathered.takenAtMs)

  function startStoring() {
    const batch = gathered
    gathered = spare
    storingSinceMs = batch.takenAtMs
    storing = storer.store(batch).then(() => {
      spare = emptyGathered(batch.events)
      storing = null
      storingSinceMs = null
      tellWaiting()
    })
    // Whoever waits for it hears of its failure, or the end does.
    storing.catch(() => {})
  }

  try {
    for (;;) {
      const batch: Batch | null = held ?? (isFull(gathered) ? null : inbox.take())
      held = null
      if (batch && canFollow(gathered, batch)) await gather(gathered, batch)
      else if (storing) {
        held = batch
        const canGather = !batch && !isFull(gathered)
        const hasMore = canGather && (await Promise.race([storing.then(() => true), inbox.hasMore()]))
        if (!hasMore) await storing
      } else if (gathered.takenAtMs !== null) {
        held = batch
        startStoring()
      } else if (!(await inbox.hasMore())) break
      tellWaiting()
    }
    await storer.noteExactly()
  } finally {
    // What is being stored is stored to the end before anything else begins.
    await storing?.catch(() => {})
    await storer.abandon()
  }
}

/** Whole transactions are not held up by the chunks of one that is still on its way. */
function canFollow(gathered: Gathered, batch: Batch): boolean {
  return batch.kind === 'complete' || gathered.confirmLsn === null
}

/** Appends what was gathered, one after the other, and confirms it. */
function createStorer(options: {
  outbox: Outbox
  slotName: string
  position: Position
  confirm: (lsn: Lsn) => void
  onStored: (stored: Stored) => void
  onProbe: (id: string) => void
}) {
  const { outbox, slotName } = options
  let { commitLsn } = options.position
  let noted = options.position.confirmedLsn ?? 0n
  let confirmed = 0n
  /** The outbox transaction of a source transaction that comes in chunks; most of the time there is none. */
  let client: PoolClient | null = null
  let tally = emptyTally()

  async function note(lsn: Lsn): Promise<void> {
    if (!(await noteConfirmed(outbox, slotName, { commitLsn, confirmedLsn: lsn })))
      throw new PositionMoved(slotName, commitLsn)
    noted = lsn
  }

  async function confirm(lsn: Lsn): Promise<void> {
    if (lsn <= confirmed) return
    if (lsn > noted) await note(lsn + confirmAheadBytes)
    confirmed = lsn
    options.confirm(lsn)
  }

  async function appendAll({ events, parked, lastEventId }: Gathered, lastLsn: Lsn): Promise<void> {
    noted = max(noted, lastLsn + confirmAheadBytes)
    tally.deliveries += await append(client ?? outbox.pool, {
      slotName,
      expected: commitLsn,
      commitLsn: lastLsn,
      confirmableLsn: noted,
      lastEventId,
      events,
      parked,
    })
    commitLsn = lastLsn
  }

  async function commit(): Promise<void> {
    if (!client) return
    await client.query('commit')
    client.release()
    client = null
  }

  return {
    async store(gathered: Gathered): Promise<void> {
      const { confirmLsn, probe } = gathered
      tally.truncated.push(...gathered.truncated)
      tally.parked.push(...gathered.parked)
      tally.changes += gathered.changes
      tally.events += gathered.events.count()
      if (gathered.commitLsn !== null) tally.committedAt = gathered.committedAt
      if (confirmLsn === null && gathered.commitLsn !== null && !client) {
        client = await outbox.pool.connect()
        await client.query('begin')
      }
      const isEmpty = gathered.events.count() + gathered.parked.length === 0
      if (gathered.commitLsn !== null && (client || !isEmpty)) await appendAll(gathered, gathered.commitLsn)
      if (confirmLsn === null) return
      await commit()
      await confirm(confirmLsn)
      if (tally.changes > 0) options.onStored(tally)
      if (probe !== null) options.onProbe(probe)
      tally = emptyTally()
    },

    /** Chunks that are not committed have moved the position only for themselves: a note would not find it. */
    async noteExactly(): Promise<void> {
      if (confirmed > 0n && !client) await note(confirmed)
    },

    /** Ends the connection, and with it what was not committed. */
    async abandon(): Promise<void> {
      client?.release(true)
      client = null
    },
  }
}

const max = (a: Lsn, b: Lsn) => (a > b ? a : b)

function emptyTally() {
  return {
    changes: 0,
    events: 0,
    deliveries: 0,
    truncated: [] as string[],
    parked: [] as ParkedChange[],
    committedAt: new Date(0),
  }
}
