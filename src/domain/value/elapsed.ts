/** One moment on two clocks: a monotonic one, which may stop while the machine sleeps, and the wall clock. */
export type Moment = { readonly monotonicMs: number; readonly wallMs: number }

/** The wall clock is corrected by small amounts all the time. */
const correctionMs = 1_000

/**
 * The time between two moments, by the clock that advanced more: suspension stops the monotonic clock, and people set the
 * wall clock. Null if the wall clock was set back.
 */
export function elapsedMs(from: Moment, to: Moment): number | null {
  const monotonicMs = to.monotonicMs - from.monotonicMs
  const wallMs = to.wallMs - from.wallMs
  return wallMs < monotonicMs - correctionMs ? null : Math.max(monotonicMs, wallMs)
}
