import type { FilterPreview } from '../../control/webhooks/filter-preview.ts'
import {
  enteringForms,
  type Filter,
  type FilterFields,
  type FilterValue,
  isExactNumber,
  leavingForms,
} from '../../domain/event/filter.ts'
import { errorAttributes, errorText, type FieldError } from '../kit/errors.ts'
import { type Html, html } from '../kit/html.ts'
import type { Texts } from '../texts/en.ts'

/** One typed field of a filter, a value per line. `was`: the stored values as JSON, or empty. */
type TypedFilterRow = { readonly field: string; readonly values: string; readonly was: string }

export type TypedFilter = Pick<Filter, 'entering' | 'leaving'> & { readonly rows: readonly TypedFilterRow[] }

export const blankFilter: TypedFilter = { rows: [], entering: 'update', leaving: 'nothing' }

/** Stands for "no value", in every language. */
const noValue = '-'

const listOf = (value: FilterFields[string]) => [value].flat() as FilterValue[]

/** The values as text, one per line: `5` and `"5"` look the same. */
function linesOf(values: readonly FilterValue[]): string {
  return [...new Set(values.map(value => (value === null ? noValue : String(value))))].join('\n')
}

export function typedFilterOf(filter: FilterFields | null): readonly TypedFilterRow[] {
  return Object.entries(filter ?? {}).map(([field, value]) => ({
    field,
    values: linesOf(listOf(value)),
    was: JSON.stringify(listOf(value)),
  }))
}

/** The typed rows; undefined: the form has no filter. */
export function readFilter(form: URLSearchParams): TypedFilter | undefined {
  if (!form.has('filter_field')) return undefined
  const values = form.getAll('filter_values')
  const was = form.getAll('filter_was')
  return {
    rows: form
      .getAll('filter_field')
      .map((field, i) => ({
        field,
        values: (values[i] ?? '').replaceAll('\r\n', '\n').trim(),
        was: was[i] ?? '',
      }))
      .filter(({ field, values }) => field !== '' || values !== ''),
    entering: enteringForms.find(one => one === form.get('filter_entering')) ?? 'update',
    leaving: leavingForms.find(one => one === form.get('filter_leaving')) ?? 'nothing',
  }
}

export const isIncomplete = ({ field, values }: TypedFilterRow) => field === '' || values === ''

/** The typed filter. A typed `5` matches the number and the text. Unchanged values stay as stored. */
export function filterTyped({ rows }: TypedFilter): FilterFields | null {
  const filter: Record<string, FilterValue[]> = {}
  for (const row of rows) {
    const values = [
      ...(filter[row.field] ?? []),
      ...(unchanged(row) ?? row.values.split('\n').flatMap(meant)),
    ]
    filter[row.field] = [...new Set(values)]
  }
  return rows.length === 0 ? null : filter
}

function unchanged({ values, was }: TypedFilterRow): FilterValue[] | null {
  try {
    const stored: unknown = JSON.parse(was)
    const isList = Array.isArray(stored) && stored.every(one => one === null || typeof one !== 'object')
    return isList && linesOf(stored) === values ? stored : null
  } catch {
    return null
  }
}

function meant(line: string): FilterValue[] {
  const text = line.trim()
  if (text === '') return []
  if (text === noValue) return [null]
  if (text === 'true' || text === 'false') return [text === 'true', text]
  const isNumber = /^-?\d+(\.\d+)?$/.test(text) && isExactNumber(Number(text))
  return isNumber ? [Number(text), text] : [text]
}

/** The rows of the filter, an empty one, and the actions for entering and leaving entities. */
export function filterField(
  at: {
    readonly t: Texts
    readonly fields: ReadonlyMap<string, readonly string[]>
    readonly errors: readonly FieldError[]
  },
  { rows, entering, leaving }: TypedFilter,
): Html {
  const { t, fields, errors } = at
  const f = t.form.filter
  const names = [...fields].flatMap(([entityType, of]) => of.map(name => `${entityType}.${name}`))
  const options = (field: string) =>
    [...new Set(['', ...(field === '' ? [] : [field]), ...names])].map(
      name =>
        html`<option value="${name}"${name === field && html` selected`}>${name === '' ? f.noField : name}</option>`,
    )
  const choice = (name: string, label: string, texts: Readonly<Record<string, string>>, chosen: string) =>
    html`<div class="field"><label for="${name}">${label}</label><select id="${name}" name="${name}"${errorAttributes(errors, name)}>${Object.entries(texts).map(([value, text]) => html`<option value="${value}"${value === chosen && html` selected`}>${text}</option>`)}</select>${errorText(errors, name)}</div>`
  return html`<fieldset class="plain"><legend>${f.title}</legend><p class="hint">${f.hint}</p>
${[...rows, { field: '', values: '', was: '' }].map(
  ({ field, values, was }, i) =>
    html`<div class="pair"><select id="filter_field-${i}" name="filter_field" aria-label="${f.field}"${errorAttributes(errors, `filter_field-${i}`)}>${options(field)}</select><textarea name="filter_values" rows="2" placeholder="${f.values}" aria-label="${f.values}" autocomplete="off" spellcheck="false"${errorAttributes(errors, `filter_field-${i}`)}>${values}</textarea><input type="hidden" name="filter_was" value="${was}"></div>${errorText(errors, `filter_field-${i}`)}`,
)}
${choice('filter_entering', f.entering, f.enteringOf, entering)}
${choice('filter_leaving', f.leaving, f.leavingOf, leaving)}
</fieldset>`
}

/** How many of the newest events a filter lets through. */
export function filterPreviewPart(t: Texts, preview: FilterPreview | null): Html | false {
  return preview !== null && html`<p class="notice" role="status">${t.form.filter.preview(preview)}</p>`
}
