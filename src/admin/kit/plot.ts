import type { Traffic } from '../../domain/shown/traffic.ts'
import type { Texts } from '../texts/en.ts'
import { number } from '../texts/figures.ts'
import { type Html, html, moment } from './html.ts'

export const width = 600
export const height = 120
const minuteMs = 60_000
const ticks = 4

/** A plot over time, with axes for value and time, and as a table too. */
export function plot(
  t: Texts,
  title: string,
  parts: {
    /** Its content, in a sentence. */
    readonly label: Html | string
    readonly isSampled: boolean
    /** Its top, middle and bottom. */
    readonly axis: readonly [string, string, string]
    readonly time: Pick<Traffic, 'fromMs' | 'bucketMs'> & { readonly count: number }
    /** Within 600 × 120. */
    readonly drawing: Html
    readonly legend: readonly { readonly kind: 'good' | 'bad' | 'warn'; readonly text: string }[]
    readonly table: Html
  },
): Html {
  const { label, isSampled, axis, time, drawing, legend, table } = parts
  const times = Array.from({ length: ticks + 1 }, (_, i) =>
    moment(new Date(time.fromMs + (i / ticks) * time.count * time.bucketMs), tickAs(time)),
  )
  return html`<figure class="plot card"><figcaption><h2>${title}</h2><p class="hint">${label}${isSampled && html` ${t.health.sampled}`}</p></figcaption>
<div class="area"><div class="axis" aria-hidden="true">${axis.map(text => html`<span>${text}</span>`)}</div>
<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="${title}: ${label}">
<line x1="0" x2="${width}" y1="0.5" y2="0.5"/><line x1="0" x2="${width}" y1="${height / 2}" y2="${height / 2}"/><line x1="0" x2="${width}" y1="${height - 0.5}" y2="${height - 0.5}"/>${drawing}</svg>
<div class="times">${times}</div></div>
<ul class="legend">${legend.map(({ kind, text }) => html`<li><span class="key ${kind}"></span>${text}</li>`)}</ul>
<details><summary>${t.health.asTable}</summary>${table}</details></figure>`
}

/** Each tick of the axis has room for one word. */
const tickAs = (time: Parameters<typeof timeAs>[0]) => (timeAs(time) === 'weekday' ? 'dayname' : 'hour')

/** The format of its times: with the day if it spans several. */
export const timeAs = ({ bucketMs, count }: { readonly bucketMs: number; readonly count: number }) =>
  bucketMs * count > 24 * 60 * minuteMs ? 'weekday' : 'hour'

/** Requests as bars, failed on top of delivered; also as a table of `rows` lines. Per minute, or per bucket (`per`). */
export function trafficPlot(
  t: Texts,
  title: string,
  traffic: Traffic,
  rows: number,
  per: 'minute' | 'stretch' = 'minute',
): Html {
  const { fromMs, bucketMs, buckets, share } = traffic
  const inOne = per === 'minute' ? bucketMs / minuteMs : 1
  const max = niceAbove(Math.max(...buckets.map(({ delivered, failed }) => (delivered + failed) / inOne)))
  const sum = total(buckets)
  const step = width / buckets.length
  const y = (value: number) => (value / inOne / max) * height
  const bars = buckets.map(({ delivered, failed }, i) => {
    // A small share stays visible.
    const good = delivered === 0 ? 0 : Math.max(1, y(delivered))
    const bad = failed === 0 ? 0 : Math.max(3, y(failed))
    const bar = (bottom: number, high: number) =>
      high === 0
        ? ''
        : `M${short(i * step + step * 0.1)} ${short(bottom)}v-${short(high)}h${short(step * 0.8)}v${short(high)}z`
    return { good: bar(height, good), bad: bar(Math.max(bad, height - good), bad) }
  })
  return plot(t, title, {
    label: t.health.plotLabel(number(t, sum.delivered), number(t, sum.failed)),
    isSampled: share < 1,
    axis: [number(t, max), number(t, max / 2), '0'],
    time: { fromMs, bucketMs, count: buckets.length },
    drawing: html`<path class="good" d="${bars.map(({ good }) => good).join('')}"/><path class="bad" d="${bars.map(({ bad }) => bad).join('')}"/>`,
    legend: [
      { kind: 'good', text: t.health.delivered },
      { kind: 'bad', text: t.health.failed },
    ],
    table: trafficTable(t, title, traffic, rows),
  })
}

function trafficTable(t: Texts, title: string, { fromMs, bucketMs, buckets }: Traffic, rows: number): Html {
  const inRow = Math.ceil(buckets.length / rows)
  const as = timeAs({ bucketMs, count: buckets.length })
  const lines = Array.from({ length: rows }, (_, i) => ({
    at: new Date(fromMs + i * inRow * bucketMs),
    ...total(buckets.slice(i * inRow, (i + 1) * inRow)),
  }))
  return html`<table><caption class="unseen">${title}</caption><thead><tr><th scope="col">${t.health.from}</th><th scope="col" class="number">${t.health.delivered}</th><th scope="col" class="number">${t.health.failed}</th></tr></thead>
<tbody>${lines.map(
    ({ at, delivered, failed }) =>
      html`<tr><th scope="row">${moment(at, as)}</th><td class="number">${number(t, delivered)}</td><td class="number">${number(t, failed)}</td></tr>`,
  )}</tbody></table>`
}

function total(buckets: Traffic['buckets']): { delivered: number; failed: number } {
  return buckets.reduce(
    (sum, { delivered, failed }) => ({ delivered: sum.delivered + delivered, failed: sum.failed + failed }),
    { delivered: 0, failed: 0 },
  )
}

export const short = (value: number) => Number(value.toFixed(1))

/** The next of 1, 2, 3, 4, 5, 6, 8, 10, 20, … from `value` on: the top of an axis. */
export function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)))
  return [1, 2, 3, 4, 5, 6, 8, 10].map(factor => factor * power).find(top => top >= value)!
}
