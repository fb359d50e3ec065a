import { html as write } from 'hono/html'
import type { HtmlEscapedString } from 'hono/utils/html'

/** Safe markup. Only `html` creates it. */
export type Html = HtmlEscapedString

type Value = Html | string | number | bigint | boolean | null | undefined | readonly Value[]

/**
 * Writes markup. Values are escaped for text and quoted attributes, except `Html`; lists are concatenated; true, false, null
 * and undefined are empty.
 */
export function html(strings: TemplateStringsArray, ...values: Value[]): Html {
  return write(strings, ...values) as Html
}

export const nothing = html``

/**
 * A moment, in UTC; `walhook.js` converts it to the reader's zone and language, with the exact time as its title. `as`:
 *
 * - with its date, also to the second (`second`), or as short as possible (`near`: today without its date)
 * - the time of day to the second (`clock`) or to the minute (`hour`)
 * - with the day of the week (`weekday`), or that alone (`dayname`)
 * - the distance from now (`3 minutes ago`)
 */
type MomentAs = 'date' | 'second' | 'clock' | 'hour' | 'weekday' | 'dayname' | 'near' | 'distance'
export function moment(at: Date, as: MomentAs = 'date'): Html {
  return html`<time datetime="${at.toISOString()}" data-as="${as}">${momentText(at, as)}</time>`
}

/** A moment for text without markup, such as a title: in UTC. */
export function momentText(at: Date, as: MomentAs): string {
  return `${at
    .toISOString()
    .slice(0, as === 'second' || as === 'near' ? 19 : 16)
    .replace('T', ' ')} UTC`
}

/** The problem of a field, or of the request. */
export function problemText(detail: string): Html {
  return html`<p class="problem">${detail}</p>`
}
