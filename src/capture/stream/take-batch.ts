import type { Change } from '../../domain/capture/change.ts'
import type { Lsn } from '../../domain/value/lsn.ts'
import { type Arriving, messageBytes, type Waiting } from './arriving.ts'
import type { Batch, TransactionPart } from './batch.ts'

export function hasBatch({ complete, reachedLsn, open, broken }: Arriving, batchBytes: number): boolean {
  return (
    complete.length > 0 ||
    reachedLsn !== null ||
    (open !== null && open.bytes >= batchBytes) ||
    broken !== null
  )
}

/** The next batch, of about `batchBytes`; null: none yet. Throws the breaking error after everything before it. */
export function takeBatch(arriving: Arriving, batchBytes: number): Batch | null {
  if (!hasBatch(arriving, batchBytes)) return null
  const { broken, complete, reachedLsn, open } = arriving
  if (broken && complete.length === 0) throw broken.error
  const first = complete[0] ?? (reachedLsn === null ? open : null)
  if (first && first.bytes >= batchBytes)
    return { kind: 'chunk', part: takeChanges(arriving, first, batchBytes) }
  return takeComplete(arriving, batchBytes)
}

/** Decodes a transaction's first messages, up to `limit` bytes. */
function takeChanges(arriving: Arriving, from: Waiting, limit: number): TransactionPart {
  const { queue, decode } = arriving
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
  arriving.queuedBytes -= bytes
  const { commitLsn, committedAt, xid, mark } = from
  return { commitLsn, committedAt, xid, mark, changes }
}

function takeComplete(arriving: Arriving, batchBytes: number): Batch {
  const { complete } = arriving
  const parts: TransactionPart[] = []
  let confirmLsn: Lsn = 0n
  let probe: string | null = null
  for (let bytes = 0; complete.length > 0; ) {
    const next = complete[0]!
    bytes += next.bytes
    if (parts.length > 0 && (bytes > batchBytes || next.hasTruncate)) break
    try {
      parts.push(takeChanges(arriving, next, Number.POSITIVE_INFINITY))
    } catch (error) {
      arriving.broken = { error }
      complete.length = 0
      if (parts.length === 0) throw error
      return { kind: 'complete', parts, confirmLsn, probe }
    }
    complete.shift()
    confirmLsn = next.endLsn
    probe = next.probe ?? probe
    if (next.mark !== null || next.hasTruncate) break
  }
  if (complete.length === 0) {
    confirmLsn = arriving.reachedLsn ?? confirmLsn
    probe = arriving.probe ?? probe
    arriving.reachedLsn = null
    arriving.probe = null
  }
  return { kind: 'complete', parts, confirmLsn, probe }
}
