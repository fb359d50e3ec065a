import { type AlertTrigger, isAlertTrigger } from '../../domain/event/alert.ts'
import { actionTypes } from '../../domain/event/event.ts'
import type { JsonSchema } from '../../domain/event-types/definitions.ts'
import {
  bodyExample,
  type RequestForm,
  requestSchema,
  titleOf,
  triggerSchema,
} from '../../domain/event-types/event-schema.ts'
import { type ShownField, shownFields } from '../../domain/event-types/shown-fields.ts'
import { findWebhook } from '../../outbox/records/webhooks.ts'
import type { Control } from '../kit/control.ts'
import type { Page } from '../kit/page.ts'
import { notFound, type Result, sourceUnavailable } from '../kit/result.ts'

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
  const form = await requestForms(control)
  if (!form) return sourceUnavailable
  const items = form.slice(after, after + limit).map(eventType)
  return { ok: true, value: { items, next: after + limit < form.length ? after + limit : null } }
}

export async function findEventType(control: Control, trigger: string): Promise<Result<EventType>> {
  const all = await requestForms(control)
  if (!all) return sourceUnavailable
  const form = all.find(each => titleOf(each) === trigger)
  return form ? { ok: true, value: eventType(form) } : notFound('trigger', trigger)
}

function eventType(form: RequestForm): EventType {
  const schema = triggerSchema(form)
  return { trigger: titleOf(form), schema, fields: shownFields(schema), example: bodyExample(form) }
}

/** Null: the source is unavailable. */
async function requestForms(control: Control): Promise<RequestForm[] | null> {
  const shapes = await control.readShapes().catch(() => null)
  if (shapes === null) return null
  return [
    ...shapes.flatMap(entity => actionTypes.map(action => ({ entity, action }))),
    ...control.alerts.map(alert => ({ alert })),
  ]
}

const tested = 'user'

/** The JSON Schema of all requests of a webhook, tests included. */
export async function webhookSchema(control: Control, id: number): Promise<Result<JsonSchema>> {
  const webhook = await findWebhook(control.outbox, id)
  if (!webhook) return notFound('webhook', id)
  const { triggers, batch, name } = webhook
  const all = await requestForms(control)
  if (!all) return sourceUnavailable
  const form = all.filter(each => (triggers as readonly string[]).includes(titleOf(each)))
  const user = all.find(each => 'entity' in each && each.entity.entityType === tested)
  const alerts = triggers.filter(isAlertTrigger) as AlertTrigger[]
  const tests: RequestForm[] = [
    ...(user && 'entity' in user ? [{ entity: user.entity, action: 'test' as const }] : []),
    ...(alerts[0] !== undefined ? [{ alert: alerts[0], asTest: true }] : []),
  ]
  return { ok: true, value: requestSchema([...form, ...tests], { title: name, isBatch: batch !== null }) }
}
