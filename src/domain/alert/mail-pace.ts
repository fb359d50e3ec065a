import { hourMs, minuteMs } from '../value/duration.ts'

/**
 * How often an address gets a mail: the first five of an hour at once, then one in ten minutes, which holds all alerts
 * until then.
 */
const atOncePerHour = 5
const gatherMs = 10 * minuteMs
export const mailPaceMs = hourMs

/** When the next mail may be sent to an address that got these within the last hour. */
export function nextMailAt(sentAt: readonly Date[]): Date | null {
  if (sentAt.length < atOncePerHour) return null
  return new Date(Math.max(...sentAt.map(at => at.getTime())) + gatherMs)
}
