import { elapsedMs, type Moment } from '../domain/elapsed.ts'

/**
 * Remembers when leases were taken, by two clocks, so that a process that was suspended knows that another may have its
 * lanes by now. A lease is dated before the database gives it, so it ends here before it ends there.
 */
export function createLeases(options: { newLease: () => string; leaseMs: number; now: () => Moment }) {
  const { leaseMs, now } = options
  /** The oldest first. */
  const takenAt = new Map<string, Moment>()

  return {
    /** A new lease, taken now. */
    take(): string {
      const [lease, moment] = [options.newLease(), now()]
      for (const [old, taken] of takenAt) {
        if (moment.monotonicMs - taken.monotonicMs <= leaseMs) break
        takenAt.delete(old)
      }
      takenAt.set(lease, moment)
      return lease
    },

    /** Whether a lease surely has not ended; not where a clock was set back since, for then nobody knows. */
    isHeld(lease: string): boolean {
      const taken = takenAt.get(lease)
      const passedMs = taken === undefined ? null : elapsedMs(taken, now())
      return passedMs !== null && passedMs < leaseMs
    },
  }
}
