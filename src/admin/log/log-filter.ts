import type { LogFilter } from '../../control/log/log.ts'
import { askedType } from '../../domain/event/alert.ts'
import { errorSummary, errorsOf } from '../kit/errors.ts'
import { type Html, html } from '../kit/html.ts'
import { entityName } from '../kit/names.ts'
import type { PageCall } from '../kit/page.ts'
import type { Texts } from '../texts/en.ts'
import {
  choice,
  field,
  momentField,
  readMoments,
  type Typed,
  typedIn,
  typesToChoose,
} from './filter-fields.ts'

const failed = ['refused', 'unreachable', 'blocked'] as const
const outcomes = ['delivered', ...failed, 'cancelled'] as const
const triggers = ['schedule', 'manual', 'test'] as const

/** The filter of the address. */
export type LogOptions = Typed & { readonly filter: LogFilter }

/** Reads the filter of an address. A value that no form writes is an error, never ignored. */
export function readLogOptions(t: Texts, query: URLSearchParams): LogOptions {
  const typed = typedIn(query, ['outcome', 'trigger', 'entity_type', 'entity_id', 'from', 'to'])
  const { outcome, trigger, entity_type: entityType, entity_id: entityId } = typed
  const problems: Record<string, string> = {}
  const outcomesOf = outcome === 'failed' ? failed : outcomes.filter(one => one === outcome)
  const triggersOf = triggers.filter(one => one === trigger)
  if (outcome !== undefined && outcomesOf.length === 0) problems.outcome = t.log.wrong.choice
  if (trigger !== undefined && triggersOf.length === 0) problems.trigger = t.log.wrong.choice
  if ((entityType === undefined) !== (entityId === undefined)) problems.entity_id = t.log.wrong.entity
  if ((entityId?.length ?? 0) > 1_024) problems.entity_id = t.log.wrong.id
  const { from, to } = readMoments(t, typed, problems)
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

/** The filter form. It is open if the filter is set. */
export function filterForm({ t, control }: PageCall, path: string, options: LogOptions): Html {
  const isAsked = Object.keys(options.typed).length > 0
  return html`<details class="filter"${isAsked && html` open`}><summary>${t.log.filter} <span class="hint">${t.log.filterHint}</span></summary>
<form action="${path}" novalidate>
${errorSummary(t.errors.someWrong, errorsOf(options.problems))}${choice(t, 'outcome', t.log.outcome, options, [['failed', t.log.failed], ...outcomes.map(one => [one, one === 'unreachable' ? `${t.outcomes[one]}, ${t.timedOut.toLowerCase()}` : t.outcomes[one]] as const)])}
${choice(
  t,
  'trigger',
  t.log.trigger,
  options,
  triggers.map(one => [one, t.log.triggers[one]] as const),
)}
${choice(
  t,
  'entity_type',
  t.log.entityType,
  options,
  typesToChoose(control).map(one => [one, entityName(t, askedType(one, control.entityTypes))] as const),
)}
${field('entity_id', html`${t.log.entityId}`, options, html`autocomplete="off"`)}
${momentField(t, 'from', t.log.from, options)}
${momentField(t, 'to', t.log.to, options)}
<div class="end"><button>${t.log.apply}</button>${isAsked && html`<a class="button" href="${path}">${t.log.clear}</a>`}</div>
</form></details>`
}
