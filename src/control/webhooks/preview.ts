import { alertExample } from '../../domain/alert/alert-body.ts'
import { batchBody } from '../../domain/delivery/shipment.ts'
import { isAlertTrigger } from '../../domain/event/alert.ts'
import { type ActionType, actionTypes, bodySent, writeBody } from '../../domain/event/event.ts'
import { fieldsAt } from '../../domain/event/json-fields.ts'
import { bodyExample, previousExample } from '../../domain/event-types/event-schema.ts'
import type { EntityShape } from '../../domain/event-types/shape.ts'
import type { Caller, Control } from '../kit/control.ts'
import { readWithoutPrevious } from './warnings.ts'

/** The settings that decide what deliveries look like. */
type PreviewSettings = {
  readonly triggers: readonly string[]
  readonly previous: boolean
  readonly isBatch: boolean
  readonly headerNames: readonly string[]
}

/** An example delivery: the body is JSON on one line. */
export type Preview = {
  readonly trigger: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** One example delivery for each available trigger. */
export async function previewDeliveries(
  control: Control,
  caller: Caller,
  settings: PreviewSettings,
): Promise<Preview[]> {
  const shapes = await control.readShapes().catch(() => [])
  const withoutPrevious = await readWithoutPrevious(control)
  const own =
    caller.userId === null ? null : await control.readEntity('user', caller.userId).catch(() => null)
  return settings.triggers.flatMap(trigger => {
    const event = isAlertTrigger(trigger) ? alertExample(trigger) : eventOf(trigger)
    if (event === null) return []
    const body = settings.isBatch ? batchBody([event]) : event
    return [{ trigger, headers: headersOf(settings, body), body }]
  })

  /** Null: no such trigger, or its table is unavailable. */
  function eventOf(trigger: string): string | null {
    const [entityType = '', name = ''] = trigger.split('.')
    const entity = shapes.find(each => each.entityType === entityType)
    const action = actionTypes.find(each => each === name)
    if (!entity || !action) return null
    const event =
      entityType === 'user' && own ? ownEvent(own, entity, action) : bodyExample({ entity, action })
    const hasPrevious = settings.previous && action === 'update' && !withoutPrevious.has(entityType)
    const previous = hasPrevious ? previousExample(entity) : null
    return bodySent({ body: event, previous, omitted: null }, asItIs)
  }
}

const asItIs = { asNew: false, asDelete: false, withPrevious: true }

/** An event of the caller's own account; a `delete` has its `last` values. */
function ownEvent(
  own: { readonly entityIdJson: string; readonly resultJson: string },
  { entityType, last }: EntityShape,
  actionType: ActionType,
): string {
  return writeBody({
    entityIdJson: own.entityIdJson,
    entityType,
    actionType,
    resultJson: actionType === 'delete' ? null : own.resultJson,
    lastJson: lastOf(last, own.resultJson),
  })
}

function lastOf(names: EntityShape['last'], resultJson: string): string | null {
  if (names === null) return null
  const result = fieldsAt(resultJson, 0)
  const members = names.flatMap(name => {
    const value = result?.get(name)
    return value === undefined ? [] : `${JSON.stringify(name)}:${value}`
  })
  return `{${members.join(',')}}`
}

function headersOf({ headerNames, isBatch }: PreviewSettings, body: string): Record<string, string> {
  return {
    ...Object.fromEntries(headerNames.map(name => [name.toLowerCase(), '…'])),
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    'user-agent': 'walhook/…',
    'accept-encoding': 'identity',
    'webhook-id': isBatch ? 'batch_…' : 'msg_…',
    'webhook-timestamp': '1767225600',
    'webhook-signature': 'v1,…',
  }
}
