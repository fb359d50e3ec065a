import type { Change } from '../../domain/capture/change.ts'
import type { Lsn } from '../../domain/value/lsn.ts'
import { createDecoder, expectKnown, isMeaningless, type Message, tagOf } from './decode.ts'
import { createMessageQueue } from './message-queue.ts'

/** A committed transaction's changes, or some of them. */
export type TransactionPart = {
  readonly commitLsn: Lsn
  readonly committedAt: Date
  /** The lower 32 bits of the transaction's id. */
  readonly xid: number
  /** The mark that this transaction was made to set, if it was. */
  readonly mark: string | null
  readonly changes: Change[]
}

/** What is stored in one go. */
export type Batch =
  /**
   * Whole transactions (of the first, perhaps only what chunks left over), and how far they reach. One with a mark is
   * the last of its batch, one with a TRUNCATE stands alone.
   */
  | {
      readonly kind: 'complete'
      readonly parts: readonly TransactionPart[]
      readonly confirmLsn: Lsn
      /** The last probe that came between or after these transactions. */
      readonly probe: string | null
    }
  /** A piece of a transaction too large to be held whole: more of it follows. */
  | { readonly kind: 'chunk'; readonly part: TransactionPart }

/** A transaction whose messages, or the rest of them, wait in the queue. */
type Waiting = {
  readonly commitLsn: Lsn
  readonly committedAt: Date
  readonly xid: number
  mark: string | null
  hasTruncate: boolean
  messages: number
  bytes: number
}
type Complete = Waiting & { readonly endLsn: Lsn; probe: string | null }

/** What a message weighs beyond its bytes: a narrow row is an event, and costs memory, like a wide one. */
const messageBytes = 100

/**
 * Gathers what the stream brings while the batch before is being stored, so that many small transactions share
 * one commit, and says when to stop reading: at `maxBytes` of WAL. A batch is about `batchBytes` of it.
 *
 * What is gathered is a row of whole transactions, then at most one open one; their messages wait as bytes, and
 * become changes when they are taken. A keepalive's position counts as reached only between transactions: inside one
 * it says nothing of what is still to come of it.
 */
export function createInbox(options: {
  maxBytes: number
  batchBytes: number
  onFull: () => void
  onDrained: () => void
}) {
  const { maxBytes, batchBytes } = options
  const decode = createDecoder()
  const queue = createMessageQueue()
  let queuedBytes = 0
  const complete: Complete[] = []
  let open: Waiting | null = null
  /** A keepalive's position, and a probe, that came after the last of the whole transactions. */
  let reachedLsn: Lsn | null = null
  let probe: string | null = null
  let isFull = false
  let isClosed = false
  /** What came and can't be read: thrown once everything before it was taken. What follows is not looked at. */
  let broken: { readonly error: unknown } | null = null
  /** What everyone who waits waits for. */
  let arrival: PromiseWithResolvers<void> | null = null

  const hasBatch = () =>
    complete.length > 0 ||
    reachedLsn !== null ||
    (open !== null && open.bytes >= batchBytes) ||
    broken !== null

  function arrived() {
    if (!isFull && queuedBytes >= maxBytes) {
      isFull = true
      options.onFull()
    }
    if (arrival && hasBatch()) wake()
  }

  function wake() {
    arrival?.resolve()
    arrival = null
  }

  function taken() {
    if (isFull && queuedBytes < maxBytes / 2) {
      isFull = false
      options.onDrained()
    }
  }

  /** Decodes messages of a transaction, the first ones, until they weigh `limit` bytes. */
  function takeChanges(from: Waiting, limit: number): TransactionPart {
    const changes: Change[] = []
    let bytes = 0
    while (from.messages > 0 && bytes < limit) {
      const message = queue.shift()
      from.messages--
      bytes += message.length + messageBytes
      const decoded = decode(message)
      if (decoded.kind === 'change') changes.push(decoded.change)
    }
    from.bytes -= bytes
    queuedBytes -= bytes
    const { commitLsn, committedAt, xid, mark } = from
    return { commitLsn, committedAt, xid, mark, changes }
  }

  function takeComplete(): Batch {
    const parts: TransactionPart[] = []
    let confirmLsn: Lsn = 0n
    let lastProbe: string | null = null
    for (let bytes = 0; complete.length > 0; ) {
      const next = complete[0]!
      bytes += next.bytes
      if (parts.length > 0 && (bytes > batchBytes || next.hasTruncate)) break
      try {
        parts.push(takeChanges(next, Number.POSITIVE_INFINITY))
      } catch (error) {
        broken = { error }
        complete.length = 0
        if (parts.length === 0) throw error
        return { kind: 'complete', parts, confirmLsn, probe: lastProbe }
      }
      complete.shift()
      confirmLsn = next.endLsn
      lastProbe = next.probe ?? lastProbe
      if (next.mark !== null || next.hasTruncate) break
    }
    if (complete.length === 0) {
      confirmLsn = reachedLsn ?? confirmLsn
      lastProbe = probe ?? lastProbe
      reachedLsn = null
      probe = null
    }
    return { kind: 'complete', parts, confirmLsn, probe: lastProbe }
  }

  function takeNow(): Batch | null {
    if (!hasBatch()) return null
    if (broken && complete.length === 0) throw broken.error
    const first = complete[0] ?? (reachedLsn === null ? open : null)
    if (first && first.bytes >= batchBytes) return { kind: 'chunk', part: takeChanges(first, batchBytes) }
    return takeComplete()
  }

  function onCommit({ endLsn }: Message & { kind: 'commit' }) {
    if (!open) throw new Error('the stream commits a transaction that it did not begin')
    complete.push({ ...open, endLsn, probe })
    open = null
    reachedLsn = null
    probe = null
  }

  function onProbe(id: string) {
    const last = complete.at(-1)
    if (last) last.probe = id
    else probe = id
    if (!last && !open) reachedLsn ??= 0n
  }

  function read(bytes: Buffer) {
    const tag = tagOf(bytes)
    expectKnown(tag)
    if (isMeaningless(tag)) return
    switch (tag) {
      case 'B': {
        const { commitLsn, committedAt, xid } = decode(bytes) as Message & { kind: 'begin' }
        open = { commitLsn, committedAt, xid, mark: null, hasTruncate: false, messages: 0, bytes: 0 }
        break
      }
      case 'C':
        onCommit(decode(bytes) as Message & { kind: 'commit' })
        break
      case 'M': {
        const message = decode(bytes)
        if (message.kind === 'probe') onProbe(message.id)
        else if (message.kind === 'mark' && open) open.mark = message.id
        break
      }
      default:
        if (!open) throw new Error('the stream holds a change outside a transaction')
        queue.push(bytes)
        if (tag === 'T') open.hasTruncate = true
        open.messages++
        open.bytes += bytes.length + messageBytes
        queuedBytes += bytes.length + messageBytes
    }
  }

  return {
    /** `bytes`: a message of pgoutput, read or copied before this returns. */
    onMessage(bytes: Buffer) {
      if (broken) return
      try {
        read(bytes)
      } catch (error) {
        broken = { error }
      }
      arrived()
    },

    onKeepalive(walEnd: Lsn) {
      if (open || broken) return
      if (reachedLsn === null || walEnd > reachedLsn) reachedLsn = walEnd
      arrived()
    },

    /** The next batch, or null where there is none yet. */
    take(): Batch | null {
      const batch = isClosed ? null : takeNow()
      if (batch) taken()
      return batch
    },

    /** Waits until there is a batch; false once `close` was called. */
    async hasMore(): Promise<boolean> {
      while (!isClosed && !hasBatch()) {
        arrival ??= Promise.withResolvers()
        await arrival.promise
      }
      return !isClosed
    },

    /** Nothing more is to be taken: what is still here comes again with the next connection. */
    close() {
      isClosed = true
      wake()
    },
  }
}

export type Inbox = ReturnType<typeof createInbox>
