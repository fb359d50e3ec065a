import { type AlertTrigger, isAlertTrigger } from '../../domain/event/alert.ts'
import { actionTypes } from '../../domain/event/event.ts'
import type { JsonSchema } from '../../domain/event-types/definitions.ts'
import {
  bodyExample,
  requestSchema,
  type Told,
  titleOf,
  triggerSchema,
} from '../../domain/event-types/event-schema.ts'
import { type ShownField, shownFields } from '../../domain/event-types/shown-fields.ts'
import { findWebhook } from '../../outbox/records/webhooks.ts'
import type { Control } from '../kit/control.ts'
import { notFound, type Result, sourceUnavailable } from '../kit/result.ts'
import type { Page } from './webhooks.ts'

/** A trigger's requests. */
export type EventType = {
  readonly trigger: string
  readonly schema: JsonSchema
  readonly fields: readonly ShownField[]
  /** An example body on one line, without stored data. */
  readonly example: string
}

/** Triggers for this `control`'s caller: of entities, then alerts. At most `limit` after the first `after`. */
export async function listEventTypes(
  control: Control,
  { limit, after }: { limit: number; after: number },
): Promise<Result<Page<EventType, number>>> {
  const told = await toldBy(control)
  if (!told) return sourceUnavailable
  const items = told.slice(after, after + limit).map(eventType)
  return { ok: true, value: { items, next: after + limit < told.length ? after + limit : null } }
}

export async function findEventType(control: Control, trigger: string): Promise<Result<EventType>> {
  const all = await toldBy(control)
  if (!all) return sourceUnavailable
  const told = all.find(each => titleOf(each) === trigger)
  return told ? { ok: true, value: eventType(told) } : notFound('trigger', trigger)
}

function eventType(told: Told): EventType {
  const schema = triggerSchema(told)
  return { trigger: titleOf(told), schema, fields: shownFields(schema), example: bodyExample(told) }
}

/** Null: the source is unavailable. */
async function toldBy(control: Control): Promise<Told[] | null> {
  const shapes = await control.readShapes().catch(() => null)
  if (shapes === null) return null
  return [
    ...shapes.flatMap(entity => actionTypes.map(action => ({ entity, action }))),
    ...control.alerts.map(alert => ({ alert })),
  ]
}

/** The entity type of a test. */
const tested = 'user'

/** The JSON Schema of all requests of a webhook, tests included. */
export async function webhookSchema(control: Control, id: number): Promise<Result<JsonSchema>> {
  const webhook = await findWebhook(control.outbox, id)
  if (!webhook) return notFound('webhook', id)
  const { triggers, batch, name } = webhook
  const all = await toldBy(control)
  if (!all) return sourceUnavailable
  const told = all.filter(each => (triggers as readonly string[]).includes(titleOf(each)))
  const user = all.find(each => 'entity' in each && each.entity.entityType === tested)
  const alerts = triggers.filter(isAlertTrigger) as AlertTrigger[]
  const tests: Told[] = [
    ...(user && 'entity' in user ? [{ entity: user.entity, action: 'test' as const }] : []),
    ...(alerts[0] !== undefined ? [{ alert: alerts[0], asTest: true }] : []),
  ]
  return { ok: true, value: requestSchema([...told, ...tests], { title: name, isBatch: batch !== null }) }
}
