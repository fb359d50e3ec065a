import { hourMs, minuteMs, secondMs } from '../../src/domain/value/duration.ts'

/** The default of WALHOOK_RETRY_SCHEDULE. */
export const defaultScheduleMs: readonly number[] = [
  5 * secondMs,
  ...[5, 30].map(minutes => minutes * minuteMs),
  ...[2, 5, 10, 14, 20, 24].map(hours => hours * hourMs),
]
