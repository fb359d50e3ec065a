import type { PoolClient } from 'pg'
import type { WebhookEvent } from '../domain/event.ts'
import type { Lsn } from '../domain/lsn.ts'
import { nextId } from '../domain/time-id.ts'
import { append } from '../outbox/append.ts'
import type { Outbox } from '../outbox/database.ts'
import type { Position } from '../outbox/position.ts'
import type { Inbox, TransactionPart } from './inbox.ts'
import type { Mapped } from './map.ts'

/** What was stored with one commit of the outbox. */
export type Stored = {
  readonly changes: number
  readonly events: number
  readonly deliveries: number
  /** Tables that a TRUNCATE emptied: their rows' ids are not in the WAL, so there are no events for them. */
  readonly truncated: readonly string[]
  /** When the last of the source's transactions committed there. */
  readonly committedAt: Date
}

/**
 * Stores what the inbox gives until it is closed: maps, appends and moves the position in one commit, and only
 * then confirms to the server. A transaction that comes in chunks is appended in one outbox transaction, which
 * stays open until its last chunk: it becomes visible whole or not at all, and memory holds one chunk.
 *
 * What a killed process had stored and not confirmed comes again: those transactions are at or before the
 * position, and are passed over. Throws `PositionMoved` where another process has taken over.
 */
export async function consume(options: {
  inbox: Inbox
  map: (parts: readonly TransactionPart[]) => Promise<Mapped>
  outbox: Outbox
  slotName: string
  position: Position
  nowMs: () => number
  confirm: (lsn: Lsn) => void
  onStored: (stored: Stored) => void
}): Promise<void> {
  const { inbox, slotName } = options
  let { commitLsn, lastEventId } = options.position
  const chunks = createChunks(options.outbox)

  const storedBefore = commitLsn
  const isNew = (part: TransactionPart) => part.commitLsn > storedBefore
  let tally = emptyTally()

  async function store(parts: readonly TransactionPart[]): Promise<void> {
    const last = parts.at(-1)
    if (!last) return
    const mapped = await options.map(parts)
    const indexFrom = chunks.eventsOf(parts[0]!.commitLsn)
    const events = mapped.events.map(event => {
      lastEventId = nextId(lastEventId, options.nowMs())
      const index = event.commitLsn === parts[0]!.commitLsn ? indexFrom + event.index : event.index
      return { ...(event satisfies WebhookEvent), index, id: lastEventId }
    })
    tally.truncated.push(...mapped.truncated)
    tally.changes += parts.reduce((sum, part) => sum + part.changes.length, 0)
    tally.events += events.length
    tally.committedAt = last.committedAt
    if (events.length === 0 && !chunks.isOpen()) return
    const input = { slotName, expected: commitLsn, commitLsn: last.commitLsn, lastEventId, events }
    tally.deliveries += await append(chunks.client() ?? options.outbox.pool, input)
    chunks.count(last.commitLsn, events.length)
    commitLsn = last.commitLsn
  }

  try {
    for (let batch = await inbox.take(); batch; batch = await inbox.take()) {
      if (batch.kind === 'chunk') {
        if (!isNew(batch.part)) continue
        await chunks.begin()
        await store([batch.part])
        continue
      }
      await store(batch.parts.filter(isNew))
      await chunks.commit()
      options.confirm(batch.confirmLsn)
      if (tally.changes > 0) options.onStored(tally)
      tally = emptyTally()
    }
  } finally {
    await chunks.abandon()
  }
}

function emptyTally() {
  return { changes: 0, events: 0, deliveries: 0, truncated: [] as string[], committedAt: new Date(0) }
}

/** The outbox transaction of a source transaction that comes in chunks; most of the time there is none. */
function createChunks(outbox: Outbox) {
  let client: PoolClient | null = null
  let transactionLsn: Lsn = 0n
  let events = 0
  return {
    isOpen: () => client !== null,
    client: () => client,
    /** How many events the transaction at this LSN already has. */
    eventsOf: (lsn: Lsn) => (lsn === transactionLsn ? events : 0),
    count(lsn: Lsn, added: number) {
      if (!client) return
      events = lsn === transactionLsn ? events + added : added
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
