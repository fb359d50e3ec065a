/** Failures of a webhook since its last success, by attempts that began after it. */
export type Outage = { readonly failures: number; readonly firstAtMs: number }

/** A receiver that was away for a moment only has kept nobody waiting. */
const shortestMs = 2_000
const fewest = 2

/** The outage with one more failure, at `nowMs`. */
export function withFailure(outage: Outage | null, nowMs: number): Outage {
  return outage === null ? { failures: 1, firstAtMs: nowMs } : { ...outage, failures: outage.failures + 1 }
}

/**
 * Whether a success at `nowMs` shows that a webhook is back: everything it was sent for a while was refused. What fails
 * between successes is an entity, and waits for its time.
 */
export function isRecovery(outage: Outage | null, nowMs: number): boolean {
  return outage !== null && outage.failures >= fewest && nowMs - outage.firstAtMs >= shortestMs
}
