import type { Traffic } from '../../domain/shown/traffic.ts'
import type { Texts } from '../texts/en.ts'
import { number } from '../texts/figures.ts'
import { type Html, html, moment } from './html.ts'

const width = 600
const height = 120
const minuteMs = 60_000

/**
 * Requests per minute as bars, what failed on top of what was delivered; the same as a table of `rows` lines, for who
 * can't see it or wants the figures.
 */
export function trafficPlot(t: Texts, title: string, traffic: Traffic, rows: number): Html {
  const { fromMs, bucketMs, buckets, share } = traffic
  const perMinute = bucketMs / minuteMs
  const most = niceAbove(
    Math.max(...buckets.map(({ delivered, failed }) => (delivered + failed) / perMinute)),
  )
  const sum = total(buckets)
  const label = t.health.plotLabel(number(t, sum.delivered), number(t, sum.failed))
  const step = width / buckets.length
  const y = (value: number) => (value / perMinute / most) * height
  const bars = buckets.map(({ delivered, failed }, i) => {
    // What there is can be seen, however little it is beside the rest.
    const good = delivered === 0 ? 0 : Math.max(1, y(delivered))
    const bad = failed === 0 ? 0 : Math.max(3, y(failed))
    const bar = (bottom: number, high: number) =>
      high === 0
        ? ''
        : `M${short(i * step + step * 0.1)} ${short(bottom)}v-${short(high)}h${short(step * 0.8)}v${short(high)}z`
    return { good: bar(height, good), bad: bar(Math.max(bad, height - good), bad) }
  })
  const toMs = fromMs + buckets.length * bucketMs
  const middleMs = fromMs + (buckets.length / 2) * bucketMs
  return html`<figure class="plot card"><figcaption><h2>${title}</h2><p class="hint">${label}${share < 1 && html` ${t.health.sampled}`}</p></figcaption>
<div class="area"><span class="most">${number(t, most)}</span>
<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="${title}: ${label}">
<line x1="0" x2="${width}" y1="0.5" y2="0.5"/><line x1="0" x2="${width}" y1="${height / 2}" y2="${height / 2}"/><line x1="0" x2="${width}" y1="${height - 0.5}" y2="${height - 0.5}"/><path class="good" d="${bars.map(({ good }) => good).join('')}"/><path class="bad" d="${bars.map(({ bad }) => bad).join('')}"/></svg>
<div class="times">${moment(new Date(fromMs), 'hour')}${moment(new Date(middleMs), 'hour')}${moment(new Date(toMs), 'hour')}</div></div>
<ul class="legend"><li><span class="key good"></span>${t.health.delivered}</li><li><span class="key bad"></span>${t.health.failed}</li></ul>
<details><summary>${t.health.asTable}</summary>${table(t, title, traffic, rows)}</details></figure>`
}

function table(t: Texts, title: string, { fromMs, bucketMs, buckets }: Traffic, rows: number): Html {
  const inRow = Math.ceil(buckets.length / rows)
  const lines = Array.from({ length: rows }, (_, i) => ({
    at: new Date(fromMs + i * inRow * bucketMs),
    ...total(buckets.slice(i * inRow, (i + 1) * inRow)),
  }))
  return html`<table><caption class="unseen">${title}</caption><thead><tr><th scope="col">${t.health.from}</th><th scope="col" class="number">${t.health.delivered}</th><th scope="col" class="number">${t.health.failed}</th></tr></thead>
<tbody>${lines.map(
    ({ at, delivered, failed }) =>
      html`<tr><th scope="row">${moment(at, 'hour')}</th><td class="number">${number(t, delivered)}</td><td class="number">${number(t, failed)}</td></tr>`,
  )}</tbody></table>`
}

function total(buckets: Traffic['buckets']): { delivered: number; failed: number } {
  return buckets.reduce(
    (sum, { delivered, failed }) => ({ delivered: sum.delivered + delivered, failed: sum.failed + failed }),
    { delivered: 0, failed: 0 },
  )
}

const short = (value: number) => Number(value.toFixed(1))

/** The next of 1, 2, 3, 4, 5, 6, 8, 10, 20, … that is not below: the top of an axis. */
export function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)))
  return [1, 2, 3, 4, 5, 6, 8, 10].map(factor => factor * power).find(top => top >= value)!
}
