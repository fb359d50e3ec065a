import type { AlertTrigger } from './alert.ts'
import { type ActionType, actionTypes } from './event.ts'

/** A subscription: an entity type and an action, as `user.new`, or an alert. */
export type Trigger = `${string}.${ActionType}` | AlertTrigger

export function triggerOf(entityType: string, actionType: ActionType): Trigger {
  return `${entityType}.${actionType}`
}

/** Every trigger of these entity types, by entity, then new, update, delete. */
export function triggersFor(entityTypes: readonly string[]): Trigger[] {
  return entityTypes.flatMap(entityType => actionTypes.map(action => triggerOf(entityType, action)))
}
