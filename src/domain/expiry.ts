const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * The moment that a person means by `90d`, `12h`, `30m` (from `nowMs` on), `2026-12-31` (its end, in UTC) or a time
 * in ISO 8601 with its offset. Null where it is none of these or not after `nowMs`.
 */
export function parseExpiry(text: string, nowMs: number): Date | null {
  const span = /^(\d{1,5})([mhd])$/.exec(text)
  const isDay = /^\d{4}-\d\d-\d\d$/.test(text)
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/.test(text)
  if (!span && !isDay && !isTime) return null
  const atMs = span
    ? nowMs + Number(span[1]) * unitMs[span[2] as keyof typeof unitMs]
    : Date.parse(isDay ? `${text}T23:59:59.999Z` : text)
  return atMs > nowMs ? new Date(atMs) : null
}
