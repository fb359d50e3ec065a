import { type Html, html } from '../kit/html.ts'
import type { Texts } from '../texts/en.ts'
import { duration, number } from '../texts/figures.ts'

/** A progress bar from 0 to 1; null: unknown. */
export function progressBar(t: Texts, share: number | null, label: string): Html {
  if (share === null) return html`<progress aria-label="${label}"></progress>`
  // Only the state shows the end: an estimate stays below.
  const percent = Math.floor(share * 100)
  return html`<progress max="100" value="${percent}" aria-label="${label}">${number(t, percent)}%</progress>`
}

/** The time for `count` events at this rate. */
export function timeNeeded(t: Texts, count: number, perSecond: number | null): string {
  if (perSecond === null) return t.bulk.noRate
  return t.bulk.atRate(number(t, Math.round(perSecond * 10) / 10), duration(t, (count * 1_000) / perSecond))
}

/** `1,200`, `about 1,200`. */
export function countOf(t: Texts, { count, isExact }: { count: number; isExact: boolean }): string {
  return isExact ? number(t, count) : t.bulk.about(number(t, count))
}
