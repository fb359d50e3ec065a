/** What walhook tells of itself, as triggers of a webhook, in the order in which they are shown. */
export const alertTriggers = [
  'webhook.failing',
  'webhook.recovered',
  'webhook.disabled',
  'delivery.dead',
  'capture.lost',
  'capture.blocked',
  'capture.lagging',
] as const
export type AlertTrigger = (typeof alertTriggers)[number]

/** Those about a webhook: its tenant may know of them, and of no others. */
export const webhookAlerts: readonly AlertTrigger[] = alertTriggers.filter(
  trigger => !trigger.startsWith('capture.'),
)

export const alertActions = [
  'failing',
  'recovered',
  'disabled',
  'dead',
  'lost',
  'blocked',
  'lagging',
] as const satisfies readonly ActionOf<AlertTrigger>[]
export type AlertAction = (typeof alertActions)[number]
type ActionOf<T extends string> = T extends `${string}.${infer Action}` ? Action : never

export function isAlertTrigger(trigger: string): trigger is AlertTrigger {
  return (alertTriggers as readonly string[]).includes(trigger)
}

/** Entity types of a mapping are letters, digits and _: an alert about a webhook is about no entity `webhook` of the application. */
const prefix = 'walhook:'

/** The entity type and the action of an alert, as they are stored. */
export function storedAlert(trigger: AlertTrigger): { entityType: string; actionType: AlertAction } {
  const [type, action] = trigger.split('.') as [string, AlertAction]
  return { entityType: `${prefix}${type}`, actionType: action }
}

/** Whether an event of this stored entity type is an alert. */
export const isAlertType = (entityType: string): boolean => entityType.startsWith(prefix)

/** An entity type as receivers, the API and pages have it. */
export function shownType(entityType: string): string {
  return isAlertType(entityType) ? entityType.slice(prefix.length) : entityType
}
