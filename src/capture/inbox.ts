import type { Change } from '../domain/change.ts'
import type { Lsn } from '../domain/lsn.ts'
import type { Message } from './decode.ts'

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
  /** Whole transactions (of the first, perhaps only what chunks left over), and how far they reach. */
  | {
      readonly kind: 'complete'
      readonly parts: readonly TransactionPart[]
      readonly confirmLsn: Lsn
      /** The last probe that came between or after these transactions. */
      readonly probe: string | null
    }
  /** A piece of a transaction too large to be held whole: more of it follows. */
  | { readonly kind: 'chunk'; readonly part: TransactionPart }

/**
 * Gathers what the stream brings while the batch before is being stored, so that many small transactions share
 * one commit, and says when to stop reading.
 *
 * What is gathered is a row of whole transactions, then at most one open one. A keepalive's position counts as
 * reached only between transactions: inside one it says nothing of what is still to come of it.
 */
export function createInbox(options: { maxBytes: number; onFull: () => void; onDrained: () => void }) {
  let complete: TransactionPart[] = []
  let completeBytes = 0
  let open: TransactionPart | null = null
  let openBytes = 0
  let confirmLsn: Lsn | null = null
  let probe: string | null = null
  let isFull = false
  let isClosed = false
  let waiting: (() => void) | null = null

  const hasBatch = () => confirmLsn !== null || openBytes >= options.maxBytes / 2

  function arrived() {
    if (!isFull && completeBytes + openBytes >= options.maxBytes) {
      isFull = true
      options.onFull()
    }
    if (waiting && hasBatch()) {
      waiting()
      waiting = null
    }
  }

  function taken() {
    if (isFull && completeBytes + openBytes < options.maxBytes / 2) {
      isFull = false
      options.onDrained()
    }
  }

  function takeNow(): Batch | null {
    if (confirmLsn !== null) {
      const batch: Batch = { kind: 'complete', parts: complete, confirmLsn, probe }
      probe = null
      complete = []
      completeBytes = 0
      confirmLsn = null
      return batch
    }
    if (open && openBytes >= options.maxBytes / 2) {
      const batch: Batch = { kind: 'chunk', part: open }
      open = { ...open, changes: [] }
      openBytes = 0
      return batch
    }
    return null
  }

  return {
    onMessage(message: Message, bytes: number) {
      switch (message.kind) {
        case 'begin':
          open = {
            commitLsn: message.commitLsn,
            committedAt: message.committedAt,
            xid: message.xid,
            mark: null,
            changes: [],
          }
          openBytes = 0
          break
        case 'change':
          if (!open) throw new Error('the stream holds a change outside a transaction')
          open.changes.push(message.change)
          openBytes += bytes
          break
        case 'commit':
          if (!open) throw new Error('the stream commits a transaction that it did not begin')
          complete.push(open)
          completeBytes += openBytes
          open = null
          openBytes = 0
          confirmLsn = message.endLsn
          break
        case 'probe':
          probe = message.id
          confirmLsn ??= 0n
          break
        case 'mark':
          if (open) open = { ...open, mark: message.id }
          break
        case 'other':
          break
        default:
          message satisfies never
      }
      arrived()
    },

    onKeepalive(walEnd: Lsn) {
      if (open) return
      if (confirmLsn === null || walEnd > confirmLsn) confirmLsn = walEnd
      arrived()
    },

    /** The next batch, as soon as there is one; null once `close` was called. One caller at a time. */
    async take(): Promise<Batch | null> {
      while (!isClosed) {
        const batch = takeNow()
        if (batch) {
          taken()
          return batch
        }
        await new Promise<void>(resolve => {
          waiting = resolve
        })
      }
      return null
    },

    /** Nothing more is to be taken: what is still here comes again with the next connection. */
    close() {
      isClosed = true
      waiting?.()
    },
  }
}

export type Inbox = ReturnType<typeof createInbox>
