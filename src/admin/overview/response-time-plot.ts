import type { Performances } from '../../domain/shown/traffic.ts'
import { type Html, html, moment } from '../kit/html.ts'
import { height, niceAbove, plot, short, timeAs, width } from '../kit/plot.ts'
import type { Texts } from '../texts/en.ts'
import { milliseconds } from '../texts/figures.ts'

/** A receiver's response times as two lines: the median, and the 95th percentile. */
export function responseTimePlot(t: Texts, title: string, of: Performances): Html {
  const { buckets, fromMs, bucketMs, p50Ms, p95Ms, share } = of
  const max = niceAbove(Math.max(...buckets.map(bucket => bucket.p95Ms ?? 0)))
  const label =
    p50Ms === null || p95Ms === null
      ? t.overview.noResponses
      : t.overview.responseTimeLabel(milliseconds(t, p50Ms), milliseconds(t, p95Ms))
  return plot(t, title, {
    label,
    isSampled: share < 1,
    axis: [milliseconds(t, max), milliseconds(t, max / 2), '0'],
    time: { fromMs, bucketMs, count: buckets.length },
    drawing: html`<path class="line warn" d="${line(buckets, bucket => bucket.p95Ms, max)}"/><path class="line good" d="${line(buckets, bucket => bucket.p50Ms, max)}"/>`,
    legend: [
      { kind: 'warn', text: t.overview.p95 },
      { kind: 'good', text: t.overview.p50 },
    ],
    table: table(t, title, of),
  })
}

/** A step per bucket; a gap without responses. */
function line(
  buckets: Performances['buckets'],
  ms: (bucket: Performances['buckets'][number]) => number | null,
  max: number,
): string {
  const step = width / buckets.length
  let isOpen = false
  return buckets
    .map((bucket, i) => {
      const value = ms(bucket)
      const wasOpen = isOpen
      isOpen = value !== null
      if (value === null) return ''
      const y = short(Math.max(1, height - (value / max) * height))
      return `${wasOpen ? 'L' : 'M'}${short(i * step)} ${y}h${short(step)}`
    })
    .join('')
}

function table(t: Texts, title: string, { fromMs, bucketMs, buckets }: Performances): Html {
  const as = timeAs({ bucketMs, count: buckets.length })
  const written = (ms: number | null) => (ms === null ? '–' : milliseconds(t, ms))
  return html`<table><caption class="unseen">${title}</caption><thead><tr><th scope="col">${t.health.from}</th><th scope="col" class="number">${t.overview.p50}</th><th scope="col" class="number">${t.overview.p95}</th></tr></thead>
<tbody>${buckets.map(
    ({ p50Ms, p95Ms }, i) =>
      html`<tr><th scope="row">${moment(new Date(fromMs + i * bucketMs), as)}</th><td class="number">${written(p50Ms)}</td><td class="number">${written(p95Ms)}</td></tr>`,
  )}</tbody></table>`
}
