import { parseAddress } from './address.ts'

/** The failed log-ins of an address, and the time of the last one (ms since 1970). */
export type Failures = { readonly count: number; readonly lastAtMs: number }

/** A few typing errors cause no wait. */
const freeFailures = 5
const maxWaitMs = 60_000
const forgottenAfterMs = 900_000

/** The failures after one more at `nowMs`. A quarter of an hour without any resets them. */
export function fail(before: Failures | undefined, nowMs: number): Failures {
  const isForgotten = before === undefined || nowMs - before.lastAtMs > forgottenAfterMs
  return { count: isForgotten ? 1 : before.count + 1, lastAtMs: nowMs }
}

/** The remaining wait of an address in ms: 1 s after the fifth failure, then doubled, at most a minute. */
export function waitMs(failures: Failures | undefined, nowMs: number): number {
  if (failures === undefined || failures.count < freeFailures) return 0
  const wait = Math.min(1000 * 2 ** (failures.count - freeFailures), maxWaitMs)
  return Math.max(0, failures.lastAtMs + wait - nowMs)
}

/**
 * The unit to count as one address: an IPv4 address, or the 64-bit prefix of IPv6, which a household has. IPv4 in IPv6 form
 * is IPv4; any other text is itself.
 */
export function networkOf(address: string): string {
  const bytes = parseAddress(address.replace(/%.*$/, ''))
  if (bytes === null || bytes.length === 4) return address
  const isMapped = bytes.subarray(0, 10).every(byte => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff
  return isMapped ? bytes.subarray(12).join('.') : `${Buffer.from(bytes.subarray(0, 8)).toString('hex')}/64`
}
