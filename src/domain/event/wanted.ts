import type { ActionType } from './event.ts'
import { type Trigger, triggerOf } from './trigger.ts'

/** What decides which events a webhook wants, from one version of the webhooks on. */
export type WebhookState = {
  readonly version: number
  /** Active by the admin's switch, and not disabled by walhook. */
  readonly isActive: boolean
  readonly triggers: readonly string[]
  /** As `user.email`; null: every update. */
  readonly updateFields: readonly string[] | null
}

/** What is asked of an event. */
export type Wantable = {
  readonly entityType: string
  readonly actionType: ActionType
  /** The fields that an update changed; null where that is not known, or it is no update. */
  readonly changed: readonly string[] | null
  /** The version of the webhooks when it was appended. */
  readonly webhooksVersion: number
  /** The one webhook that it is for; null: all that want it. */
  readonly onlyWebhookId: number | null
}

/** The state that holds at a version: the newest that is not newer. Null: the webhook was made later. `states` are by rising version. */
export function stateAt<State extends Pick<WebhookState, 'version'>>(
  states: readonly State[],
  version: number,
): State | null {
  return states.findLast(state => state.version <= version) ?? null
}

/**
 * Whether a webhook wants an event, by its state when the event was appended. The same rule in SQL: `outbox/log/wanted.ts`.
 * `trigger` is the event's own, for whoever asks about many webhooks.
 */
export function wants(
  webhook: { readonly id: number; readonly states: readonly WebhookState[] },
  event: Wantable,
  trigger: Trigger = triggerOf(event.entityType, event.actionType),
): boolean {
  if (event.onlyWebhookId !== null && event.onlyWebhookId !== webhook.id) return false
  const state = stateAt(webhook.states, event.webhooksVersion)
  return (
    state?.isActive === true && state.triggers.includes(trigger) && wantsFields(state.updateFields, event)
  )
}

/** Whether an update has changed a field that a webhook wants; an update of which that is not known counts. */
export function wantsFields(
  updateFields: readonly string[] | null,
  { changed, entityType }: Pick<Wantable, 'changed' | 'entityType'>,
): boolean {
  if (updateFields === null || changed === null) return true
  if (!updateFields.some(field => field.split('.')[0] === entityType)) return true
  return changed.some(field => updateFields.includes(`${entityType}.${field}`))
}
