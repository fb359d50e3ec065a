import { isAlertTrigger, isAlertType, shownType } from '../../domain/event/alert.ts'
import type { Texts } from '../texts/en.ts'

/** The name of an entity type or action; without a text, the mapping's own. */
export function entityName(t: Texts, entityType: string): string {
  if (isAlertType(entityType)) return `walhook: ${aboutName(t, entityType)}`
  return Object.hasOwn(t.entities, entityType)
    ? t.entities[entityType as keyof Texts['entities']]
    : entityType
}

/** The subject of alerts of a stored entity type. */
export const aboutName = (t: Texts, entityType: string): string =>
  t.alerts.about[shownType(entityType) as keyof Texts['alerts']['about']]

/** An alert's text; null: it is no alert. */
export function alertName(t: Texts, entityType: string, action: string): string | null {
  if (!isAlertType(entityType)) return null
  const trigger = `${shownType(entityType)}.${action}`
  return isAlertTrigger(trigger) ? t.alerts.of[trigger] : null
}

/** When a trigger is sent, in a few words. */
export function whenSent(t: Texts, trigger: string): string {
  if (isAlertTrigger(trigger)) return t.alerts.of[trigger]
  return t.catalogue.when[trigger.slice(trigger.lastIndexOf('.') + 1) as keyof Texts['catalogue']['when']]
}

export function actionName(t: Texts, action: string): string {
  return Object.hasOwn(t.actions, action) ? t.actions[action as keyof Texts['actions']] : action
}
