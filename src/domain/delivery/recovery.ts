/** A webhook's failures since its last success, by attempts that began after it. */
export type Outage = { readonly failures: number; readonly firstAtMs: number }

/** A shorter outage delays nothing worth retrying early. */
const shortestMs = 2_000
const maxst = 2

export function withFailure(outage: Outage | null, nowMs: number): Outage {
  return outage === null ? { failures: 1, firstAtMs: nowMs } : { ...outage, failures: outage.failures + 1 }
}

/**
 * Whether a success at `nowMs` ends an outage: every request failed for a while. A failure between successes is of an entity,
 * and keeps its schedule.
 */
export function isRecovery(outage: Outage | null, nowMs: number): boolean {
  return outage !== null && outage.failures >= maxst && nowMs - outage.firstAtMs >= shortestMs
}
