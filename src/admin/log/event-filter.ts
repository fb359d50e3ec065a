import type { EventFilter } from '../../control/log/events.ts'
import { alertActions, askedType } from '../../domain/event/alert.ts'
import { actionTypes } from '../../domain/event/event.ts'
import { eventStates } from '../../domain/event/event-state.ts'
import { errorSummary, errorsOf } from '../kit/errors.ts'
import { type Html, html } from '../kit/html.ts'
import { actionName, entityName } from '../kit/names.ts'
import type { PageCall } from '../kit/page.ts'
import { requestedTenant } from '../tenant/badge.ts'
import { stateWord } from './event-states.ts'
import {
  choice,
  field,
  momentField,
  readMoments,
  type Typed,
  typedIn,
  typesToChoose,
} from './filter-fields.ts'

/** The filter of the address. */
export type EventOptions = Typed & { readonly filter: EventFilter; readonly tenant: string | null }

/** Reads the filter of an address. A value that no form writes is an error, never ignored. */
export function readEventOptions({
  t,
  query,
  caller,
}: Pick<PageCall, 't' | 'query' | 'caller'>): EventOptions {
  const typed = typedIn(query, ['entity_type', 'entity_id', 'action', 'state', 'from', 'to'])
  const { entity_type: entityType, entity_id: entityId } = typed
  const problems: Record<string, string> = {}
  const actions = [...actionTypes, ...alertActions].filter(one => one === typed.action)
  const state = eventStates.find(one => one === typed.state)
  if (typed.action !== undefined && actions.length === 0) problems.action = t.log.wrong.choice
  if (typed.state !== undefined && state === undefined) problems.state = t.log.wrong.choice
  if (entityId !== undefined && entityType === undefined) problems.entity_type = t.events.wrongEntity
  if ((entityId?.length ?? 0) > 1_024) problems.entity_id = t.log.wrong.id
  const { from, to } = readMoments(t, typed, problems)
  return {
    typed,
    problems,
    tenant: caller.tenant === null ? requestedTenant(query) : null,
    filter: { entityType, entityId, state, from, to, actions: actions.length > 0 ? actions : undefined },
  }
}

export const isAsked = ({ typed }: EventOptions) => Object.keys(typed).length > 0

/** The list with this filter, with `more` in its address. */
export const addressOf = (
  { typed, tenant }: EventOptions,
  more: Record<string, string> = {},
  path = '/events',
) => `${path}?${new URLSearchParams({ ...(tenant !== null && { tenant }), ...typed, ...more })}`

/** The filter form. It is open if the filter is set. */
export function eventFilterForm({ t, control }: PageCall, options: EventOptions): Html {
  const { tenant } = options
  const { entityTypes, alerts } = control
  const types = [...new Set([...typesToChoose(control), options.typed.entity_type ?? []].flat())]
  return html`<details class="filter"${isAsked(options) && html` open`}><summary>${t.log.filter} <span class="hint">${t.events.filterHint}</span></summary>
<form action="/events" novalidate>
${errorSummary(t.errors.someWrong, errorsOf(options.problems))}${tenant !== null && html`<input type="hidden" name="tenant" value="${tenant}">`}
${choice(
  t,
  'state',
  t.events.state,
  options,
  eventStates.map(one => [one, stateWord(t, one)] as const),
)}
${choice(t, 'action', t.events.action, options, [
  ...actionTypes.map(one => [one, actionName(t, one)] as const),
  ...alerts.map(one => [one.slice(one.indexOf('.') + 1), t.alerts.of[one]] as const),
])}
${choice(
  t,
  'entity_type',
  t.log.entityType,
  options,
  types.map(one => [one, entityName(t, askedType(one, entityTypes))] as const),
)}
${field('entity_id', html`${t.log.entityId}`, options, html`autocomplete="off"`)}
${momentField(t, 'from', t.events.from, options)}
${momentField(t, 'to', t.events.to, options)}
<div class="end"><button>${t.log.apply}</button>${isAsked(options) && html`<a class="button" href="${addressOf({ ...options, typed: {} })}">${t.log.clear}</a>`}</div>
</form></details>`
}
