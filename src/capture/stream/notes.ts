import type { Lsn } from '../../domain/value/lsn.ts'

/** This much WAL without changes for us is noted at once, in bytes. */
const atOnceBytes = 1_048_576n
/** More than a note itself writes, with full pages after a checkpoint. */
const ownBytes = 32_768n
const restMs = 5_000
/** The notes of the few bytes after much WAL. */
const maxTrailing = 3

/**
 * Whether to record a further confirmable position although nothing was stored. A note writes WAL itself: so short distances
 * wait, and a distance that may be a note's own is noted only a few times after much WAL. Those matter, because Postgres
 * releases WAL only after a record that follows up to 15 seconds later is confirmed.
 */
export function isNoteDue(bytes: bigint, sinceMs: number, trailingLeft: number): boolean {
  if (bytes <= 0n) return false
  if (bytes >= atOnceBytes) return true
  if (bytes > ownBytes) return sinceMs >= restMs
  return trailingLeft > 0 && sinceMs >= restMs
}

/** Tracks the confirmable position in the outbox. Nothing beyond it is confirmed. */
export function createNotes(start: Lsn, nowMs: () => number) {
  let noted = start
  let reached = start
  let notedAtMs = Number.NEGATIVE_INFINITY
  let trailingLeft = 0
  return {
    noted: () => noted,
    /** The position that a note would permit to confirm. */
    reached: () => reached,
    /** A note made by an append. */
    ride(lsn: Lsn): void {
      if (lsn > noted) noted = lsn
    },
    isDue(lsn: Lsn): boolean {
      if (lsn > reached) reached = lsn
      return isNoteDue(lsn - noted, nowMs() - notedAtMs, trailingLeft)
    },
    add(lsn: Lsn): void {
      if (lsn - noted >= atOnceBytes) trailingLeft = maxTrailing
      else if (lsn - noted <= ownBytes) trailingLeft--
      noted = lsn
      notedAtMs = nowMs()
    },
  }
}
