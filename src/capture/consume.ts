import type { PoolClient } from 'pg'
import type { ParkedChange, StoredEvent } from '../domain/event.ts'
import type { Lsn } from '../domain/lsn.ts'
import { nextId } from '../domain/time-id.ts'
import { append, PositionMoved } from '../outbox/append.ts'
import { advanceBackfill } from '../outbox/backfills.ts'
import { type Outbox, transaction } from '../outbox/database.ts'
import { noteConfirmed, type Position } from '../outbox/position.ts'
import type { Pages } from './backfill.ts'
import type { PageContent } from './backfill-window.ts'
import type { Inbox, TransactionPart } from './inbox.ts'
import type { Mapped } from './map.ts'
import { createTruncations } from './truncations.ts'

/** What was stored with one commit of the outbox. */
export type Stored = {
  readonly changes: number
  readonly events: number
  readonly deliveries: number
  /** Tables that a TRUNCATE emptied: their rows' ids are not in the WAL. */
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
 * then confirms to the server. A transaction that comes in chunks is appended in one outbox transaction, which
 * stays open until its last chunk: it becomes visible whole or not at all, and memory holds one chunk.
 *
 * A page of a backfill has its place in this order, at its mark: events, cursor and position commit together.
 *
 * What a killed process had stored and not confirmed comes again: those transactions are at or before the
 * position, and are passed over. Nothing is confirmed beyond what the outbox notes, so that a slot which stands
 * further was moved by somebody else; on leaving, the note is made exact. Throws `PositionMoved` where another process has taken over.
 */
export async function consume(options: {
  inbox: Pick<Inbox, 'take'>
  map: (parts: readonly TransactionPart[]) => Promise<Mapped>
  outbox: Outbox
  slotName: string
  position: Position
  nowMs: () => number
  confirm: (lsn: Lsn) => void
  onStored: (stored: Stored) => void
  onProbe: (id: string) => void
  pages: Pages
}): Promise<void> {
  const { inbox, outbox, slotName, pages } = options
  let { commitLsn, lastEventId } = options.position
  let noted = options.position.confirmedLsn ?? 0n
  let confirmed = 0n
  const chunks = createChunks(outbox)
  const truncations = createTruncations()

  const storedBefore = commitLsn
  const isNew = (part: TransactionPart) => part.commitLsn > storedBefore
  let tally = emptyTally()

  async function store(parts: readonly TransactionPart[], are: 'whole' | 'a chunk'): Promise<void> {
    const last = parts.at(-1)
    if (!last) return
    const mapped = await options.map(parts)
    if (mapped.emptied.length > 0 || truncations.isPending()) {
      // What is deleted stands between this transaction's events and those of the next: one at a time.
      if (parts.length > 1) {
        for (const part of parts) await store([part], are)
        return
      }
      await chunks.begin()
      truncations.add(mapped.emptied, lastEventId)
    }
    pages.observe(parts, mapped)
    const indexFrom = chunks.countedOf(parts[0]!.commitLsn)
    const placed = <T extends { commitLsn: Lsn; index: number }>(item: T): T =>
      item.commitLsn === parts[0]!.commitLsn ? { ...item, index: indexFrom + item.index } : item
    const events = mapped.events.map(event => {
      lastEventId = nextId(lastEventId, options.nowMs())
      return { ...placed(event), id: lastEventId }
    })
    const parked = mapped.parked.map(placed)
    tally.truncated.push(...mapped.truncated)
    tally.parked.push(...parked)
    tally.changes += parts.reduce((sum, part) => sum + part.changes.length, 0)
    tally.events += events.length
    tally.committedAt = last.committedAt
    if (events.length + parked.length > 0 || chunks.isOpen()) await appendAll(last.commitLsn, events, parked)
    const client = chunks.client()
    if (client && are === 'whole')
      for await (const deletions of truncations.deletions(client)) {
        const indexFrom = chunks.countedOf(last.commitLsn)
        const of = { commitLsn: last.commitLsn, committedAt: last.committedAt }
        const deleted = deletions.map((event, i) => {
          lastEventId = nextId(lastEventId, options.nowMs())
          return { ...event, ...of, index: indexFrom + i, id: lastEventId }
        })
        tally.events += deleted.length
        await appendAll(last.commitLsn, deleted, [])
      }
  }

  async function appendAll(lsn: Lsn, events: readonly StoredEvent[], parked: readonly ParkedChange[]) {
    noted = max(noted, lsn + confirmAheadBytes)
    tally.deliveries += await append(chunks.client() ?? outbox.pool, {
      slotName,
      expected: commitLsn,
      commitLsn: lsn,
      confirmableLsn: noted,
      lastEventId,
      events,
      parked,
    })
    chunks.count(lsn, events.length + parked.length)
    commitLsn = lsn
  }

  /** Stores a page of a backfill as what its mark's transaction did; nothing of it where the backfill was ended. */
  async function storePage({ events, parked, webhookId, step }: PageContent, mark: TransactionPart) {
    const { commitLsn: markLsn, committedAt } = mark
    const stored = events.map((event, index) => {
      lastEventId = nextId(lastEventId, options.nowMs())
      return { ...event, commitLsn: markLsn, committedAt, index, id: lastEventId }
    })
    const confirmableLsn = max(noted, markLsn + confirmAheadBytes)
    const deliveries = await transaction(outbox.pool, async client => {
      const made = await append(client, {
        slotName,
        expected: commitLsn,
        commitLsn: markLsn,
        confirmableLsn,
        lastEventId,
        events: stored,
        parked: parked.map((change, i) => ({ ...change, commitLsn: markLsn, index: events.length + i })),
        onlyWebhookId: webhookId,
      })
      if (!(await advanceBackfill(client, step))) throw new BackfillEnded()
      return made
    }).catch(error => {
      if (error instanceof BackfillEnded) return null
      throw error
    })
    if (deliveries === null) return false
    noted = confirmableLsn
    commitLsn = markLsn
    tally.events += stored.length
    tally.deliveries += deliveries
    tally.committedAt = committedAt
    return true
  }

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

  try {
    for (let batch = await inbox.take(); batch; batch = await inbox.take()) {
      if (batch.kind === 'chunk') {
        if (!isNew(batch.part)) continue
        await chunks.begin()
        await store([batch.part], 'a chunk')
        continue
      }
      for (const { parts, mark } of upToMarks(batch.parts.filter(isNew))) {
        await store(parts, 'whole')
        await chunks.commit()
        const page = mark && pages.take(mark.mark!)
        if (page) page.settle((await storePage(page.content, mark)) ? 'stored' : 'ended')
      }
      await chunks.commit()
      await confirm(batch.confirmLsn)
      if (tally.changes + tally.events > 0) options.onStored(tally)
      if (batch.probe !== null) options.onProbe(batch.probe)
      tally = emptyTally()
    }
    // Chunks that are not committed have moved the position only for themselves: a note would not find it.
    if (confirmed > 0n && !chunks.isOpen()) await note(confirmed)
  } finally {
    await chunks.abandon()
  }
}

/** Thrown to leave nothing of a page behind. */
class BackfillEnded extends Error {}

/** Cuts a row of transactions behind each mark. */
function upToMarks(parts: readonly TransactionPart[]) {
  const runs: { parts: TransactionPart[]; mark: TransactionPart | null }[] = []
  let run: TransactionPart[] = []
  for (const part of parts) {
    run.push(part)
    if (part.mark === null) continue
    runs.push({ parts: run, mark: part })
    run = []
  }
  return run.length > 0 ? [...runs, { parts: run, mark: null }] : runs
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

/** The outbox transaction of a source transaction that comes in chunks; most of the time there is none. */
function createChunks(outbox: Outbox) {
  let client: PoolClient | null = null
  let transactionLsn: Lsn = 0n
  let counted = 0
  return {
    isOpen: () => client !== null,
    client: () => client,
    /** How many events and parked changes the transaction at this LSN already has. */
    countedOf: (lsn: Lsn) => (lsn === transactionLsn ? counted : 0),
    count(lsn: Lsn, added: number) {
      if (!client) return
      counted = lsn === transactionLsn ? counted + added : added
      transactionLsn = lsn
    },
    async begin() {
      if (client) return
      client = await outbox.pool.connect()
      await client.query('begin')
    },
    async commit() {
      if (!client) return
      await client.query('commit')
      client.release()
      client = null
    },
    /** Ends the connection, and with it what was not committed. */
    async abandon() {
      client?.release(true)
      client = null
    },
  }
}
