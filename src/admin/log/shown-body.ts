import { prettyJson } from '../../domain/value/pretty-json.ts'
import { type Html, html } from '../kit/html.ts'
import type { Texts } from '../texts/en.ts'
import { number } from '../texts/figures.ts'

/** A page is in memory several times, and escaping lengthens it up to six times: longer bodies are truncated. */
const maxShown = 100_000

/** Whether a page shows the whole body. */
export const isShownWhole = (body: string): boolean => body.length <= maxShown

/** A body on a page: indented JSON, or its beginning. */
export function shownBody(t: Texts, body: string): Html {
  if (isShownWhole(body)) return html`${prettyJson(body)}`
  return html`${body.slice(0, maxShown).toWellFormed()}…

${t.attempt.shownInPart(number(t, maxShown), number(t, body.length))}`
}
