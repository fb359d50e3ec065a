import type { Lsn } from '../../domain/value/lsn.ts'
import { addKeepalive, addMessage, nothingYet } from './arriving.ts'
import type { Batch } from './batch.ts'
import { hasBatch, takeBatch } from './take-batch.ts'

/**
 * Gathers what the stream brings while the batch before is being stored, so that many small transactions share
 * one commit, and says when to stop reading: at `maxBytes` of WAL. A batch is about `batchBytes` of it.
 *
 * `arriving.ts` has what is gathered, `take-batch.ts` divides it.
 */
export function createInbox(options: {
  maxBytes: number
  batchBytes: number
  onFull: () => void
  onDrained: () => void
}) {
  const { maxBytes, batchBytes } = options
  const arriving = nothingYet()
  let isFull = false
  let isClosed = false
  /** What everyone who waits waits for. */
  let arrival: PromiseWithResolvers<void> | null = null

  function arrived() {
    if (!isFull && arriving.queuedBytes >= maxBytes) {
      isFull = true
      options.onFull()
    }
    if (arrival && hasBatch(arriving, batchBytes)) wake()
  }

  function wake() {
    arrival?.resolve()
    arrival = null
  }

  function taken() {
    if (isFull && arriving.queuedBytes < maxBytes / 2) {
      isFull = false
      options.onDrained()
    }
  }

  return {
    /** `bytes`: a message of pgoutput, read or copied before this returns. */
    onMessage(bytes: Buffer) {
      if (arriving.broken) return
      addMessage(arriving, bytes)
      arrived()
    },

    onKeepalive(walEnd: Lsn) {
      addKeepalive(arriving, walEnd)
      arrived()
    },

    /** The next batch, or null where there is none yet. */
    take(): Batch | null {
      const batch = isClosed ? null : takeBatch(arriving, batchBytes)
      if (batch) taken()
      return batch
    },

    /** Waits until there is a batch; false once `close` was called. */
    async hasMore(): Promise<boolean> {
      while (!isClosed && !hasBatch(arriving, batchBytes)) {
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
