import { prettyJson } from '../../domain/value/pretty-json.ts'
import { type Html, html } from '../kit/html.ts'
import type { Texts } from '../texts/en.ts'
import { number } from '../texts/figures.ts'

/** A page is written whole, in several copies at once, and a character of a body may become six: longer ones are shown in part. */
const mostShown = 100_000

/** Whether a page shows all of a body. */
export const isShownWhole = (body: string): boolean => body.length <= mostShown

/** A body as a page shows it: as JSON that can be read, or its first part. */
export function shownBody(t: Texts, body: string): Html {
  if (isShownWhole(body)) return html`${prettyJson(body)}`
  return html`${body.slice(0, mostShown).toWellFormed()}…

${t.attempt.shownInPart(number(t, mostShown), number(t, body.length))}`
}
