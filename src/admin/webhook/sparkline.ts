import { type Html, html } from '../kit/html.ts'

const height = 24
const step = 5

/** One bar per hour, as high as its share of failed requests; a dot without failures, nothing without requests. */
export function sparkline(
  hours: readonly { readonly requests: number; readonly failed: number }[],
  label: string,
): Html {
  return html`<svg class="sparkline" viewBox="0 0 ${hours.length * step} ${height}" role="img" aria-label="${label}"><title>${label}</title>
<line x1="0" x2="${hours.length * step}" y1="${height - 0.5}" y2="${height - 0.5}"/>${hours.map(
    ({ requests, failed }, i) => {
      if (requests === 0) return html``
      const high = failed === 0 ? 3 : Math.max(4, Math.round((failed / requests) * (height - 2)))
      return html`<rect class="${failed === 0 ? 'good' : 'bad'}" x="${i * step + 0.5}" y="${height - 1 - high}" width="4" height="${high}" rx="1"/>`
    },
  )}</svg>`
}
