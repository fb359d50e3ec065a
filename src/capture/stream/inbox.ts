import type { Lsn } from '../../domain/value/lsn.ts'
import { addKeepalive, addMessage, nothingYet } from './arriving.ts'
import type { Batch } from './batch.ts'
import type { Charset } from './charset.ts'
import { hasBatch, takeBatch } from './take-batch.ts'

/**
 * Collects the stream while the last batch is being stored, so that small transactions share a commit, and pauses reading at
 * `maxBytes` of WAL. A batch has about `batchBytes`. `arriving.ts` has the content, `take-batch.ts` divides it.
 */
export function createInbox(options: {
  maxBytes: number
  batchBytes: number
  /** Of a stream that is not UTF-8; absent: it is. */
  charset?: Charset | null
  onFull: () => void
  onDrained: () => void
}) {
  const { maxBytes, batchBytes } = options
  const arriving = nothingYet(options.charset ?? null)
  let isFull = false
  let isClosed = false
  /** Resolves for all who wait. */
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
    /** `bytes`: a pgoutput message, copied before this returns. */
    onMessage(bytes: Buffer) {
      if (arriving.broken) return
      addMessage(arriving, bytes)
      arrived()
    },

    onKeepalive(walEnd: Lsn) {
      addKeepalive(arriving, walEnd)
      arrived()
    },

    /** The next batch, or null. */
    take(): Batch | null {
      const batch = isClosed ? null : takeBatch(arriving, batchBytes)
      if (batch) taken()
      return batch
    },

    /** Waits for a batch; false after `close`. */
    async hasMore(): Promise<boolean> {
      while (!isClosed && !hasBatch(arriving, batchBytes)) {
        arrival ??= Promise.withResolvers()
        await arrival.promise
      }
      return !isClosed
    },

    /** Ends taking: the rest comes again with the next connection. */
    close() {
      isClosed = true
      wake()
    },
  }
}

export type Inbox = ReturnType<typeof createInbox>
