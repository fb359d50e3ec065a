import type { Texts } from '../texts/en.ts'

/** The name of an entity type or an action; one that the texts do not know is called as the mapping calls it. */
export function entityName(t: Texts, entityType: string): string {
  return Object.hasOwn(t.entities, entityType)
    ? t.entities[entityType as keyof Texts['entities']]
    : entityType
}
export function actionName(t: Texts, action: string): string {
  return Object.hasOwn(t.actions, action) ? t.actions[action as keyof Texts['actions']] : action
}
