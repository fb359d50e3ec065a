import { type Html, html, problemText } from './html.ts'

/** What is wrong with one field of a form; `field` is the id of its element. */
export type FieldError = { readonly field: string; readonly detail: string }

/** What is wrong with a form, above it: each error leads to its field. It has the focus, so that it is read first. */
export function errorSummary(intro: string, errors: readonly FieldError[]): Html | false {
  if (errors.length === 0) return false
  return html`<div class="notice bad" id="errors" role="alert" tabindex="-1" autofocus><p>${intro}</p>
<ul>${errors.map(({ field, detail }) => html`<li><a href="#${field}">${detail}</a></li>`)}</ul></div>
`
}

/** The attributes that tie an element to the errors of `field` and to its hint. Elements of a group share the field. */
export function errorAttributes(errors: readonly FieldError[], field: string, hint = ''): Html {
  const isWrong = errors.some(one => one.field === field)
  const by = [hint, isWrong ? `${field}-problem` : ''].filter(id => id !== '').join(' ')
  return html`${by !== '' && html` aria-describedby="${by}"`}${isWrong && html` aria-invalid="true"`}`
}

/** What is wrong with a field, beside it. */
export function errorText(errors: readonly FieldError[], field: string): Html | false {
  const its = errors.filter(one => one.field === field)
  return (
    its.length > 0 && html`<div id="${field}-problem">${its.map(({ detail }) => problemText(detail))}</div>`
  )
}

/** The errors of a form whose fields are named as their elements are. */
export const errorsOf = (problems: Readonly<Record<string, string | undefined>>): FieldError[] =>
  Object.entries(problems).flatMap(([field, detail]) => (detail === undefined ? [] : [{ field, detail }]))

/** What is left of a form's errors, for the script that shows it. */
export const judgedPart = (errors: readonly FieldError[]): Html =>
  html`<div data-judged>${errorSummary('', errors)}</div>`
