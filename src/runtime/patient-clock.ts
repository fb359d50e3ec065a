/**
 * A clock by which others count as slow: it leaves out the time by which this process' own checks came late. Without enough CPU
 * everybody looks slow, and it is this process that is. In ms, by `clockMs`; it never goes back.
 */
export function createPatientClock(clockMs: () => number) {
  let lateMs = 0
  let lastMs = Number.NEGATIVE_INFINITY
  return {
    nowMs(): number {
      lastMs = Math.max(lastMs, clockMs() - lateMs)
      return lastMs
    },
    /** A check came this late, in ms. */
    late(ms: number): void {
      lateMs += Math.max(0, ms)
    },
  }
}

export type PatientClock = ReturnType<typeof createPatientClock>
