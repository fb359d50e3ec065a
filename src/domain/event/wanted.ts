import type { ActionType, EventFacts, OfTenant } from './event.ts'
import { concerns, type Filter, matchEvent, matchLast } from './filter.ts'
import { actionFor } from './tenant.ts'
import { type Trigger, triggerOf } from './trigger.ts'

/** The settings that decide which events a webhook wants, valid from one version on. */
export type WebhookState = {
  readonly version: number
  /** Active by the admin's switch, and not disabled by walhook. */
  readonly isActive: boolean
  readonly triggers: readonly string[]
  /** As `user.email`; null: every update. */
  readonly updateFields: readonly string[] | null
  /** Null or absent: every entity. */
  readonly filter?: Filter | null
}

/** The parts of an event that decide who wants it. */
export type Wantable = EventFacts &
  OfTenant & {
    readonly entityType: string
    readonly actionType: ActionType
    readonly body: string
    /** The version of the webhooks when it was appended. */
    readonly webhooksVersion: number
    /** The only webhook to send it to; null: all that want it. */
    readonly onlyWebhookId: number | null
  }

/** The state at a version: the newest that is not newer. Null: the webhook was created later. `states` are in ascending order. */
function stateAt<State extends Pick<WebhookState, 'version'>>(
  states: readonly State[],
  version: number,
): State | null {
  return states.findLast(state => state.version <= version) ?? null
}

/**
 * The action that a webhook is sent for an event, by its state when the event was appended; null: unwanted. The same rule in
 * SQL: `outbox/log/wanted.ts`. `trigger` is the event's own, passed in by callers that ask for many webhooks.
 */
export function sentAction(
  webhook: {
    readonly id: number
    /** Null: it may get entities of all tenants. */
    readonly tenant: string | null
    readonly states: readonly WebhookState[]
  },
  event: Wantable,
  trigger: Trigger = triggerOf(event.entityType, event.actionType),
): ActionType | null {
  if (event.onlyWebhookId !== null && event.onlyWebhookId !== webhook.id) return null
  const action = actionFor(webhook.tenant, event)
  if (action === null) return null
  const state = stateAt(webhook.states, event.webhooksVersion)
  if (state?.isActive !== true) return null
  if (action !== event.actionType) {
    // For its tenant the entity appears or disappears: values at another tenant are hidden.
    const seen = { ...event, actionType: action, previous: null, changed: null }
    return wantedBy(state, seen, triggerOf(event.entityType, action))
  }
  return wantedBy(state, event, trigger)
}

function wantedBy(state: WebhookState, event: Wantable, trigger: Trigger): ActionType | null {
  if (state.filter && concerns(state.filter, event.entityType)) {
    const action = throughFilter(state.filter, state.updateFields, event)
    return action !== null && state.triggers.includes(triggerOf(event.entityType, action)) ? action : null
  }
  return state.triggers.includes(trigger) && wantsFields(state.updateFields, event) ? event.actionType : null
}

/**
 * The action for an event of an entity with a filter, whether the webhook has that trigger or not.
 *
 *   before \ now  matches                                  no match
 *   matched       `update`, if a wanted field changed      as configured: nothing, `update` or `delete`
 *   no match      as configured: `update` or `new`         nothing
 *   unknown       `update`                                 `delete` if configured; else nothing
 *
 * A `new` is sent if it matches. A `delete` is sent if the values before it matched, or are unknown: no receiver keeps an
 * entity that is gone.
 */
export function throughFilter(
  filter: Filter,
  updateFields: readonly string[] | null,
  event: Omit<Wantable, 'webhooksVersion' | 'onlyWebhookId' | keyof OfTenant>,
): ActionType | null {
  if (event.actionType === 'delete') return matchLast(filter, event) === false ? null : 'delete'
  const { is, was } = matchEvent(filter, event)
  if (event.actionType === 'new') return is ? 'new' : null
  if (is) {
    if (was === false) return filter.entering
    return was === null || wantsFields(updateFields, event) ? 'update' : null
  }
  if (was === true) return filter.leaving === 'nothing' ? null : filter.leaving
  return was === null && filter.leaving === 'delete' ? 'delete' : null
}

/** The triggers of events that a webhook may want: its own, and updates that are sent as another action. */
export function triggersHeard({ triggers, filter }: Pick<WebhookState, 'triggers' | 'filter'>): string[] {
  const filtered = Object.keys(filter?.fields ?? {}).map(key => triggerOf(key.split('.')[0]!, 'update'))
  return [...new Set([...triggers, ...filtered])]
}

/** Whether an update changed a field that a webhook wants; an update with unknown changes counts. */
export function wantsFields(
  updateFields: readonly string[] | null,
  { changed, entityType }: Pick<Wantable, 'changed' | 'entityType'>,
): boolean {
  if (updateFields === null || changed === null) return true
  if (!updateFields.some(field => field.split('.')[0] === entityType)) return true
  return changed.some(field => updateFields.includes(`${entityType}.${field}`))
}
