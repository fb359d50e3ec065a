/** One moment on two clocks: one that never goes back and may stand still with the machine, and one of the day. */
export type Moment = { readonly monotonicMs: number; readonly wallMs: number }

/** Clocks of the day are corrected by little things all the time. */
const correctionMs = 1_000

/**
 * How much time has passed from one moment to another: what the clock says that is further. A machine that is suspended
 * stops the one, and whoever sets the clock of the day moves the other. Null where that was set back: nobody knows then.
 */
export function elapsedMs(from: Moment, to: Moment): number | null {
  const monotonicMs = to.monotonicMs - from.monotonicMs
  const wallMs = to.wallMs - from.wallMs
  return wallMs < monotonicMs - correctionMs ? null : Math.max(monotonicMs, wallMs)
}
