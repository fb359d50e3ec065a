import { type CaptureCode, mendOf } from '../capture/capture-code.ts'
import { type AlertTrigger, shownType, storedAlert } from '../event/alert.ts'
import { writeBody } from '../event/event.ts'
import type { IncidentFacts, IncidentKind } from './incident.ts'

/** Rises when a field of `result` changes its meaning or is removed. */
const payloadVersion = 1

/** The facts of an alert. */
export type AlertedIncident = {
  readonly incidentId: number
  readonly kind: IncidentKind
  /** The webhook concerned; null: capture. */
  readonly webhook: { readonly id: number; readonly name: string } | null
  /** The slot, or the webhook's id. */
  readonly subject: string
  readonly openedAt: Date
  readonly count: number
  readonly facts: IncidentFacts
  readonly endedAt: Date | null
}

/** The body of an alert: no URL, no secret, and no data of an entity. */
export function alertBody(trigger: AlertTrigger, incident: AlertedIncident, sentAt: Date): string {
  const { entityType, actionType } = storedAlert(trigger)
  const { webhook, facts, subject } = incident
  const isCounted = trigger === 'delivery.dead' || trigger === 'capture.lost'
  const result = {
    version: payloadVersion,
    incident_id: incident.incidentId,
    since: incident.openedAt.toISOString(),
    told_at: sentAt.toISOString(),
    ...(webhook && { webhook_id: webhook.id, webhook_name: webhook.name }),
    ...(trigger === 'webhook.recovered' && { ended_at: (incident.endedAt ?? sentAt).toISOString() }),
    ...(facts.reason && { reason: facts.reason }),
    ...(isCounted && { count: incident.count }),
    ...(webhook === null && { slot: subject }),
    ...(facts.code && { code: facts.code, mend: mendOf(facts.code as CaptureCode) }),
    ...(facts.lost && { lost: facts.lost }),
  }
  return writeBody({
    entityIdJson: webhook ? String(webhook.id) : JSON.stringify(subject),
    entityType: shownType(entityType),
    actionType,
    resultJson: JSON.stringify(result),
  })
}

const exampleAt = new Date('2026-01-01T12:00:00Z')

export function alertExample(trigger: AlertTrigger, action?: 'test'): string {
  const isOfCapture = trigger.startsWith('capture.')
  const kind = trigger === 'webhook.recovered' ? 'webhook.failing' : trigger
  const incident: AlertedIncident = {
    incidentId: 1,
    kind,
    webhook: isOfCapture ? null : { id: 1, name: 'CRM' },
    subject: isOfCapture ? 'walhook' : '1',
    openedAt: exampleAt,
    count: 1,
    endedAt: new Date(exampleAt.getTime() + 300_000),
    facts: exampleFacts[kind],
  }
  const body = alertBody(trigger, incident, new Date(exampleAt.getTime() + 60_000))
  return action === undefined
    ? body
    : body.replace(`"action_type":"${storedAlert(trigger).actionType}"`, `"action_type":"${action}"`)
}

const exampleFacts: Readonly<Record<IncidentKind, IncidentFacts>> = {
  'webhook.failing': {},
  'webhook.disabled': { reason: 'failed_too_long' },
  'delivery.dead': {},
  'capture.lost': {
    code: 'capture.changes_lost',
    lost: [{ reason: 'slot missing', entity_type: null, table_name: null }],
  },
  'capture.blocked': { code: 'capture.source_problem' },
  'capture.lagging': {},
}
