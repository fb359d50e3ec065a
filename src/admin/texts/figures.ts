import type { Texts } from './en.ts'

/** A number in the reader's language. */
export function number(t: Texts, value: number, fractionDigits = 0): string {
  const digits = { minimumFractionDigits: fractionDigits, maximumFractionDigits: Math.max(fractionDigits, 3) }
  return new Intl.NumberFormat(t.language.code, digits).format(value)
}

/** A share from 0 to 1: `100%`, `99.98%`, `< 0.01%`. Only exact values are shown as 100 and 0. */
export function percent(t: Texts, share: number): string {
  if (share > 0 && share < 0.0001) return `< ${number(t, 0.01)}%`
  if (share < 1 && share > 0.9999) return `> ${number(t, 99.99)}%`
  const digits = { maximumFractionDigits: share > 0.99 && share < 1 ? 2 : 1 }
  return `${new Intl.NumberFormat(t.language.code, digits).format(share * 100)}%`
}

/** `64 B`, `12 MB`, in steps of 1,024. */
export function bytes(t: Texts, value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const step = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10))
  const digits = { maximumFractionDigits: step > 2 ? 1 : 0 }
  return `${new Intl.NumberFormat(t.language.code, digits).format(value / 1024 ** step)} ${units[step]}`
}

/** `7.6 ms`, `340 ms`, `1.2 s`; in Dutch `7,6 ms`. */
export function milliseconds(t: Texts, ms: number): string {
  if (ms >= 1_000) return `${number(t, Math.round(ms / 100) / 10, 1)} s`
  return ms < 10 ? `${number(t, Math.round(ms * 10) / 10, 1)} ms` : `${number(t, Math.round(ms))} ms`
}

/** `2 d 4 h`, `3 min`: the two largest units of a duration in ms. */
export function duration(t: Texts, ms: number): string {
  const minutes = Math.max(1, Math.round(ms / 60_000))
  const parts = [
    [Math.floor(minutes / 1_440), t.units.day],
    [Math.floor(minutes / 60) % 24, t.units.hour],
    [minutes % 60, t.units.minute],
  ] as const
  const first = parts.findIndex(([count]) => count > 0)
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ')
}
