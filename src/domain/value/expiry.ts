import { parseDuration } from './duration.ts'

/**
 * Parses `90d`, `12h`, `30m` (from `nowMs`), `2026-12-31` (its end in UTC) or ISO 8601 with an offset. Null: invalid, or not
 * after `nowMs`.
 */
export function parseExpiry(text: string, nowMs: number): Date | null {
  const spanMs = /^\d{1,5}[mhd]$/.test(text) ? parseDuration(text) : null
  const isDay = /^\d{4}-\d\d-\d\d$/.test(text)
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/.test(text)
  if (spanMs === null && !isDay && !isTime) return null
  const atMs = spanMs === null ? Date.parse(isDay ? `${text}T23:59:59.999Z` : text) : nowMs + spanMs
  return atMs > nowMs ? new Date(atMs) : null
}
