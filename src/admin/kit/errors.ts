import { type Html, html, problemText } from './html.ts'

/** A problem of one form field; `field` is the id of its element. */
export type FieldError = { readonly field: string; readonly detail: string }

/** The problems of a form, above it, with links to the fields. It has the focus, so that it is read first. */
export function errorSummary(intro: string, errors: readonly FieldError[]): Html | false {
  if (errors.length === 0) return false
  return html`<div class="notice bad" id="errors" role="alert" tabindex="-1" autofocus><p>${intro}</p>
<ul>${errors.map(({ field, detail }) => html`<li><a href="#${field}">${detail}</a></li>`)}</ul></div>
`
}

/** Attributes that tie an element to the errors of `field` and to its hint. The elements of a group share a field. */
export function errorAttributes(errors: readonly FieldError[], field: string, hint = ''): Html {
  const isWrong = errors.some(one => one.field === field)
  const by = [hint, isWrong ? `${field}-problem` : ''].filter(id => id !== '').join(' ')
  return html`${by !== '' && html` aria-describedby="${by}"`}${isWrong && html` aria-invalid="true"`}`
}

/** The problem of a field, beside it. */
export function errorText(errors: readonly FieldError[], field: string): Html | false {
  const its = errors.filter(one => one.field === field)
  return (
    its.length > 0 && html`<div id="${field}-problem">${its.map(({ detail }) => problemText(detail))}</div>`
  )
}

/** The errors of a form whose elements have the names of their fields. */
export const errorsOf = (problems: Readonly<Record<string, string | undefined>>): FieldError[] =>
  Object.entries(problems).flatMap(([field, detail]) => (detail === undefined ? [] : [{ field, detail }]))

/** The remaining errors of a form, for the script that shows them. */
export const errorsPart = (errors: readonly FieldError[]): Html =>
  html`<div data-validated>${errorSummary('', errors)}</div>`
