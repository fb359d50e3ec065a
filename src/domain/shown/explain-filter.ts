import { concerns, type Filter, firstMismatch, matchEvent } from '../event/filter.ts'
import { throughFilter } from '../event/wanted.ts'
import { type Mismatch, shortened } from '../failure/explain-texts.ts'
import type { ExplainFacts, WebhookState } from './explain-facts.ts'

function filterOf({ filter, filterEntering, filterLeaving }: WebhookState): Filter | null {
  if (!filter) return null
  return { fields: filter, entering: filterEntering ?? 'update', leaving: filterLeaving ?? 'nothing' }
}

/**
 * The effect of a filter on an event: the action that is sent, or why it is excluded. Null: no filter for the entity, no data
 * left to compare, or a match that the filter does not change.
 */
export function throughFilterOf(
  state: WebhookState,
  event: ExplainFacts['event'],
): { readonly sentAs: string } | { readonly excluded: Mismatch } | null {
  const filter = filterOf(state)
  const { body = null, previous = null, omitted = null } = event
  if (!filter || body === null || !concerns(filter, event.entityType)) return null
  const facts = { ...event, body, previous, omitted }
  const sentAs = throughFilter(filter, state.updateFields, facts)
  if (sentAs !== null) return { sentAs }
  const mismatch = firstMismatch(filter, facts)
  if (mismatch === null) return null
  const { field, json } = mismatch
  const excluded: Mismatch = {
    field,
    json: json === null ? null : shortened(json),
    isOver: event.actionType === 'delete',
    wanted: [filter.fields[field]].flat().map(value => JSON.stringify(value)),
    hasLeft: matchEvent(filter, facts).was === true,
  }
  return { excluded }
}
