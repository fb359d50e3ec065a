import type { Batch } from '../stream/batch.ts'

/**
 * Divides a batch in two, the first with about this share: between transactions, or inside a single one, as a chunk and the
 * rest. Null: a single change.
 */
export function divide(batch: Batch, share: number): readonly [Batch, Batch] | null {
  const positionIn = (count: number) => Math.min(count - 1, Math.max(1, Math.floor(count * share)))
  if (batch.kind === 'complete' && batch.parts.length > 1) {
    const at = positionIn(batch.parts.length)
    const parts = batch.parts.slice(0, at)
    // After a restart, its position shows what was stored.
    const confirmLsn = parts.at(-1)!.commitLsn
    return [
      { kind: 'complete', parts, confirmLsn, probe: null },
      { ...batch, parts: batch.parts.slice(at) },
    ]
  }
  const part = batch.kind === 'complete' ? batch.parts[0] : batch.part
  if (!part || part.changes.length < 2) return null
  const at = positionIn(part.changes.length)
  const left = { ...part, changes: part.changes.slice(at) }
  return [
    { kind: 'chunk', part: { ...part, mark: null, changes: part.changes.slice(0, at) } },
    batch.kind === 'complete' ? { ...batch, parts: [left] } : { ...batch, part: left },
  ]
}
