import type { LogFilter } from '../../control/log/log.ts'
import { errorAttributes, errorSummary, errorsOf, errorText, type FieldError } from '../kit/errors.ts'
import { type Html, html } from '../kit/html.ts'
import { entityName } from '../kit/names.ts'
import type { Texts } from '../texts/en.ts'

const failed = ['refused', 'unreachable', 'blocked'] as const
const outcomes = ['delivered', ...failed, 'cancelled'] as const
const triggers = ['schedule', 'manual', 'test'] as const

/** Which requests of the log are asked for, as the address says. */
export type Wish = {
  /** What was filled in, by its name in the address: what is not is absent. */
  readonly typed: Readonly<Record<string, string>>
  readonly filter: LogFilter
  /** What is wrong with a field. Nothing is looked for then. */
  readonly problems: Readonly<Record<string, string>>
}

/** Reads the filter of an address. What no form of ours writes there is a problem, and not as if it were absent. */
export function readWish(t: Texts, query: URLSearchParams): Wish {
  const text = (name: string) => (query.get(name) ?? '').trim().replaceAll('\0', '').toWellFormed()
  const names = ['outcome', 'trigger', 'entity_type', 'entity_id', 'from', 'to']
  const typed = Object.fromEntries(names.map(name => [name, text(name)]).filter(([, value]) => value !== ''))
  const { outcome, trigger, entity_type: entityType, entity_id: entityId } = typed
  const problems: Record<string, string> = {}
  const outcomesOf = outcome === 'failed' ? failed : outcomes.filter(one => one === outcome)
  const triggersOf = triggers.filter(one => one === trigger)
  if (outcome !== undefined && outcomesOf.length === 0) problems.outcome = t.log.wrong.choice
  if (trigger !== undefined && triggersOf.length === 0) problems.trigger = t.log.wrong.choice
  if ((entityType === undefined) !== (entityId === undefined)) problems.entity_id = t.log.wrong.entity
  if ((entityId?.length ?? 0) > 1_024) problems.entity_id = t.log.wrong.id
  const [from, to] = (['from', 'to'] as const).map(name => {
    if (typed[name] === undefined) return undefined
    const at = momentOf(typed[name])
    if (!at) problems[name] = t.log.wrong.time
    return at ?? undefined
  })
  if (from && to && from >= to) problems.to = t.log.wrong.order
  return {
    typed,
    problems,
    filter: {
      ...(outcomesOf.length > 0 && { outcomes: outcomesOf }),
      ...(triggersOf.length > 0 && { triggers: triggersOf }),
      ...(entityType !== undefined && entityId !== undefined && { entity: { entityType, entityId } }),
      ...(from && { from }),
      ...(to && { to }),
    },
  }
}

/** A moment as a browser writes it into an address: without its zone, which is UTC here. */
export function momentOf(text: string): Date | null {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?$/.test(text)) return null
  const at = new Date(`${text}Z`)
  return at.getTime() >= 0 && at.getUTCFullYear() < 2200 ? at : null
}

/** The form that asks for some requests only. It is open where something is asked for. */
export function filterForm(
  t: Texts,
  path: string,
  { typed, problems }: Wish,
  entityTypes: readonly string[],
): Html {
  const isAsked = Object.keys(typed).length > 0
  const errors = errorsOf(problems)
  return html`<details class="filter"${isAsked && html` open`}><summary>${t.log.filter} <span class="hint">${t.log.filterHint}</span></summary>
<form action="${path}" novalidate>
${errorSummary(t.errors.someWrong, errors)}${choice(t, 'outcome', t.log.outcome, typed, errors, [['failed', t.log.failed], ...outcomes.map(one => [one, one === 'unreachable' ? `${t.outcomes[one]}, ${t.timedOut.toLowerCase()}` : t.outcomes[one]] as const)])}
${choice(
  t,
  'trigger',
  t.log.trigger,
  typed,
  errors,
  triggers.map(one => [one, t.log.triggers[one]] as const),
)}
${choice(
  t,
  'entity_type',
  t.log.entityType,
  typed,
  errors,
  entityTypes.map(one => [one, entityName(t, one)] as const),
)}
${field('entity_id', html`${t.log.entityId}`, html`autocomplete="off"`)}
${field('from', html`${t.log.from} <span data-zone>(${t.log.utc})</span>`, html`type="datetime-local" data-utc`)}
${field('to', html`${t.log.to} <span data-zone>(${t.log.utc})</span>`, html`type="datetime-local" data-utc`)}
<div class="end"><button>${t.log.apply}</button>${isAsked && html`<a class="button" href="${path}">${t.log.clear}</a>`}</div>
</form></details>`

  function field(name: string, label: Html, attributes: Html): Html {
    return html`<div class="field"><label for="${name}">${label}</label>
<input id="${name}" name="${name}" value="${typed[name] ?? ''}" ${attributes}${errorAttributes(errors, name)}>
${errorText(errors, name)}</div>`
  }
}

function choice(
  t: Texts,
  name: string,
  label: string,
  typed: Wish['typed'],
  errors: readonly FieldError[],
  options: readonly (readonly [string, string])[],
): Html {
  const all = [['', t.log.any] as const, ...options]
  return html`<div class="field"><label for="${name}">${label}</label><select id="${name}" name="${name}"${errorAttributes(errors, name)}>${all.map(
    ([value, text]) =>
      html`<option value="${value}"${value === (typed[name] ?? '') && html` selected`}>${text}</option>`,
  )}</select>${errorText(errors, name)}</div>`
}
