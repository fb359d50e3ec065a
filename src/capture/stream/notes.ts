import type { Lsn } from '../../domain/value/lsn.ts'

/** So much WAL without any change of ours is noted at once, in bytes. */
const atOnceBytes = 1_048_576n
/** More than a note writes itself, with whole pages after a checkpoint. */
const ownBytes = 32_768n
const restMs = 5_000
/** Notes of the few bytes that follow a lot of WAL. */
const mostTrailing = 3

/**
 * Whether the outbox is to note now that the slot may be confirmed further, though nothing of ours was stored. A note
 * writes WAL itself, which the next note would have to note: so a short way is noted only after a rest, and less than a
 * note itself may have written only a few times after much WAL. Those few matter: Postgres releases WAL only once the slot
 * is confirmed beyond a record that follows it, up to 15 seconds later.
 */
export function isNoteDue(bytes: bigint, sinceMs: number, trailingLeft: number): boolean {
  if (bytes <= 0n) return false
  if (bytes >= atOnceBytes) return true
  if (bytes > ownBytes) return sinceMs >= restMs
  return trailingLeft > 0 && sinceMs >= restMs
}

/** Keeps count of how far the outbox notes that the slot may be confirmed. Nothing is confirmed beyond it. */
export function createNotes(start: Lsn, nowMs: () => number) {
  let noted = start
  let reached = start
  let notedAtMs = Number.NEGATIVE_INFINITY
  let trailingLeft = 0
  return {
    noted: () => noted,
    /** How far the slot could be confirmed if it were noted. */
    reached: () => reached,
    /** Notes that an append made in passing. */
    ride(lsn: Lsn): void {
      if (lsn > noted) noted = lsn
    },
    isDue(lsn: Lsn): boolean {
      if (lsn > reached) reached = lsn
      return isNoteDue(lsn - noted, nowMs() - notedAtMs, trailingLeft)
    },
    add(lsn: Lsn): void {
      if (lsn - noted >= atOnceBytes) trailingLeft = mostTrailing
      else if (lsn - noted <= ownBytes) trailingLeft--
      noted = lsn
      notedAtMs = nowMs()
    },
  }
}
