/** The alerts of walhook, as triggers of a webhook, in display order. */
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

/** Alerts about a webhook: the only ones that its tenant may see. */
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

/** Entity types of a mapping have no colon: an alert about a webhook can't look like an application's entity `webhook`. */
const prefix = 'walhook:'

export function storedAlert(trigger: AlertTrigger): { entityType: string; actionType: AlertAction } {
  const [type, action] = trigger.split('.') as [string, AlertAction]
  return { entityType: `${prefix}${type}`, actionType: action }
}

export const isAlertType = (entityType: string): boolean => entityType.startsWith(prefix)

/** The entity types of alerts, as they are shown. */
export const alertTypesOf = (alerts: readonly AlertTrigger[]): string[] => [
  ...new Set(alerts.map(trigger => trigger.slice(0, trigger.indexOf('.')))),
]

/** The stored form of a shown entity type. An entity type of the mapping goes before one of alerts. */
export function askedType(shown: string, ofMapping: readonly string[]): string {
  return alertTypesOf(alertTriggers).includes(shown) && !ofMapping.includes(shown) ? prefix + shown : shown
}

/** An entity type as receivers, the API and pages show it. */
export function shownType(entityType: string): string {
  return isAlertType(entityType) ? entityType.slice(prefix.length) : entityType
}
