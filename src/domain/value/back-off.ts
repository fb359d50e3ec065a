import { parseAddress } from './address.ts'

/** How often an address failed to log in, and when last (ms since 1970). */
export type Failures = { readonly count: number; readonly lastAtMs: number }

/** Whoever mistypes is not made to wait. */
const freeFailures = 5
const maxWaitMs = 60_000
const forgottenAfterMs = 900_000

/** After one more failure at `nowMs`. A quarter of an hour without any is a new beginning. */
export function fail(before: Failures | undefined, nowMs: number): Failures {
  const isForgotten = before === undefined || nowMs - before.lastAtMs > forgottenAfterMs
  return { count: isForgotten ? 1 : before.count + 1, lastAtMs: nowMs }
}

/** How long the address still waits for its next try, in ms from 0: 1 s after the fifth failure, twice as long after each, at most a minute. */
export function waitMs(failures: Failures | undefined, nowMs: number): number {
  if (failures === undefined || failures.count < freeFailures) return 0
  const wait = Math.min(1000 * 2 ** (failures.count - freeFailures), maxWaitMs)
  return Math.max(0, failures.lastAtMs + wait - nowMs)
}

/**
 * What counts as one address: an IPv4 address, or the 64 bits of an IPv6 network, which one household has. An IPv4
 * address that is written as IPv6 is the IPv4 address. Anything else is itself.
 */
export function networkOf(address: string): string {
  const bytes = parseAddress(address.replace(/%.*$/, ''))
  if (bytes === null || bytes.length === 4) return address
  const isMapped = bytes.subarray(0, 10).every(byte => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff
  return isMapped ? bytes.subarray(12).join('.') : `${Buffer.from(bytes.subarray(0, 8)).toString('hex')}/64`
}
