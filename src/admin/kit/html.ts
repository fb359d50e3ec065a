import { html as write } from 'hono/html'
import type { HtmlEscapedString } from 'hono/utils/html'

/** Markup that is safe to send. Only `html` makes it. */
export type Html = HtmlEscapedString

type Value = Html | string | number | bigint | boolean | null | undefined | readonly Value[]

/**
 * Writes markup. What is put into it is text, safe between tags and inside a quoted attribute, unless it is `Html`
 * itself; lists are written one after the other; true, false, null and undefined are nothing.
 */
export function html(strings: TemplateStringsArray, ...values: Value[]): Html {
  return write(strings, ...values) as Html
}

export const nothing = html``

/**
 * A moment. Without a script it is read in UTC; `walhook.js` writes it in the reader's zone and language, with the
 * exact one as its title. `as` says how: with its date, also to the second, only the time of day (to the second, or as `hour`
 * to the minute), with the day of the week (`weekday`; `dayname`: that alone), as short as it can be (`near`: today without its date), or how far away it is
 * (`3 minutes ago`).
 */
type MomentAs = 'date' | 'second' | 'clock' | 'hour' | 'weekday' | 'dayname' | 'near' | 'distance'
export function moment(at: Date, as: MomentAs = 'date'): Html {
  return html`<time datetime="${at.toISOString()}" data-as="${as}">${momentText(at, as)}</time>`
}

/** A moment where no markup can be, as in a title: in UTC. */
export function momentText(at: Date, as: MomentAs): string {
  return `${at
    .toISOString()
    .slice(0, as === 'second' || as === 'near' ? 19 : 16)
    .replace('T', ' ')} UTC`
}

/** What is wrong with a field, or with what was asked for. */
export function problemText(detail: string): Html {
  return html`<p class="problem">${detail}</p>`
}
