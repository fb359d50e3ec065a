import { concerns, type Filter, firstMismatch, matchEvent } from '../event/filter.ts'
import { throughFilter } from '../event/wanted.ts'
import type { ExplainFacts, WebhookState } from './explain-facts.ts'

export function filterOf({ filter, filterEntering, filterLeaving }: WebhookState): Filter | null {
  if (!filter) return null
  return { fields: filter, entering: filterEntering ?? 'update', leaving: filterLeaving ?? 'nothing' }
}

/**
 * What a filter makes of an event: the action that the webhook is told, or why it excludes it; null where it has no filter for the entity,
 * or the event's data is not there any more, or it matches and it is no matter of the filter.
 */
export function throughFilterOf(
  state: WebhookState,
  event: ExplainFacts['event'],
): { readonly told: string } | { readonly excluded: string } | null {
  const filter = filterOf(state)
  const { body = null, previous = null, omitted = null } = event
  if (!filter || body === null || !concerns(filter, event.entityType)) return null
  const judged = { ...event, body, previous, omitted }
  const told = throughFilter(filter, state.updateFields, judged)
  if (told !== null) return { told }
  const mismatch = firstMismatch(filter, judged)
  if (mismatch === null) return null
  const { field, json } = mismatch
  const be = event.actionType === 'delete' ? 'was' : 'is'
  const is = json === null ? 'is not in the event' : `${be} ${shortened(json)}`
  const left =
    matchEvent(filter, judged).was === true
      ? ' It matched before, and the webhook is not told who leaves.'
      : ''
  return { excluded: `${field} ${is}, and the filter wants ${said(filter.fields[field])}.${left}` }
}

const longestShown = 100
const shortened = (json: string) => (json.length > longestShown ? `${json.slice(0, longestShown)}…` : json)

function said(values: Filter['fields'][string] | undefined): string {
  const texts = [values].flat().map(value => JSON.stringify(value))
  return shortened(texts.join(' or '))
}
