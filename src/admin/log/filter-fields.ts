import type { Control } from '../../control/kit/control.ts'
import { alertTypesOf } from '../../domain/event/alert.ts'
import { errorAttributes, errorsOf, errorText } from '../kit/errors.ts'
import { type Html, html } from '../kit/html.ts'
import type { Texts } from '../texts/en.ts'

export type Typed = {
  /** By name in the address; empty fields are absent. */
  readonly typed: Readonly<Record<string, string>>
  /** The problems of fields, which prevent the search. */
  readonly problems: Readonly<Record<string, string>>
}

export function typedIn(query: URLSearchParams, names: readonly string[]): Record<string, string> {
  const text = (name: string) => (query.get(name) ?? '').trim().replaceAll('\0', '').toWellFormed()
  return Object.fromEntries(names.map(name => [name, text(name)]).filter(([, value]) => value !== ''))
}

/** The entity types of the mapping and of alerts, as they are shown. */
export const typesToChoose = ({ entityTypes, alerts }: Pick<Control, 'entityTypes' | 'alerts'>): string[] => [
  ...new Set([...entityTypes, ...alertTypesOf(alerts)]),
]

/** The fields `from` and `to`. Adds their errors to `problems`. */
export function readMoments(
  t: Texts,
  typed: Typed['typed'],
  problems: Record<string, string>,
): { from: Date | undefined; to: Date | undefined } {
  const [from, to] = (['from', 'to'] as const).map(name => {
    if (typed[name] === undefined) return undefined
    const at = momentOf(typed[name])
    if (!at) problems[name] = t.log.wrong.time
    return at ?? undefined
  })
  if (from && to && from >= to) problems.to = t.log.wrong.order
  return { from, to }
}

/** A moment as a browser sends it: without a zone, here UTC. */
export function momentOf(text: string): Date | null {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?$/.test(text)) return null
  const at = new Date(`${text}Z`)
  return at.getTime() >= 0 && at.getUTCFullYear() < 2200 ? at : null
}

export function field(name: string, label: Html, { typed, problems }: Typed, attributes: Html): Html {
  const errors = errorsOf(problems)
  return html`<div class="field"><label for="${name}">${label}</label>
<input id="${name}" name="${name}" value="${typed[name] ?? ''}" ${attributes}${errorAttributes(errors, name)}>
${errorText(errors, name)}</div>`
}

/** A time in the reader's zone with a script, otherwise in UTC. */
export const momentField = (t: Texts, name: string, label: string, typed: Typed): Html =>
  field(
    name,
    html`${label} <span data-zone>(${t.log.utc})</span>`,
    typed,
    html`type="datetime-local" data-utc`,
  )

export function choice(
  t: Texts,
  name: string,
  label: string,
  { typed, problems }: Typed,
  options: readonly (readonly [string, string])[],
): Html {
  const all = [['', t.log.any] as const, ...options]
  const errors = errorsOf(problems)
  return html`<div class="field"><label for="${name}">${label}</label><select id="${name}" name="${name}"${errorAttributes(errors, name)}>${all.map(
    ([value, text]) =>
      html`<option value="${value}"${value === (typed[name] ?? '') && html` selected`}>${text}</option>`,
  )}</select>${errorText(errors, name)}</div>`
}
