export const secondMs = 1_000
export const minuteMs = 60 * secondMs
export const hourMs = 60 * minuteMs
export const dayMs = 24 * hourMs

const unitMs = { s: secondMs, m: minuteMs, h: hourMs, d: dayMs }

/** Parses a duration such as `30s`, `5m`, `12h` or `90d` into ms; null: invalid. */
export function parseDuration(text: string): number | null {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  return count === undefined ? null : Number(count) * unitMs[unit as keyof typeof unitMs]
}
