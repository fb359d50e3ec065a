import { alertExample } from '../../domain/alert/alert-body.ts'
import { batchBody } from '../../domain/delivery/shipment.ts'
import { isAlertTrigger } from '../../domain/event/alert.ts'
import { type ActionType, writeBody } from '../../domain/event/event.ts'
import { fieldsAt } from '../../domain/event/json-fields.ts'
import type { Caller, Control } from '../kit/control.ts'
import { readUntold } from './warnings.ts'

/** What of a webhook's settings decides what its deliveries look like. */
export type Look = {
  readonly triggers: readonly string[]
  readonly previous: boolean
  readonly isBatch: boolean
  readonly headerNames: readonly string[]
}

/** One delivery as it will look, with an example of the entity: the body is JSON in one line. */
export type Preview = {
  readonly trigger: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Shows what a webhook with these settings will be sent, one example for each of its triggers that there is. */
export async function previewDeliveries(control: Control, caller: Caller, look: Look): Promise<Preview[]> {
  const fields = await control.readFields().catch(() => new Map<string, readonly string[]>())
  const last = await control.readLastFields?.().catch(() => undefined)
  const untold = await readUntold(control)
  const own =
    caller.userId === null ? null : await control.readEntity('user', caller.userId).catch(() => null)
  return look.triggers.flatMap(trigger => {
    if (isAlertTrigger(trigger)) {
      const alert = alertExample(trigger)
      const body = look.isBatch ? batchBody([alert]) : alert
      return [{ trigger, headers: headersOf(look, body), body }]
    }
    const [entityType = '', action = ''] = trigger.split('.')
    if (!control.entityTypes.includes(entityType) || !['new', 'update', 'delete'].includes(action)) return []
    const actionType = action as ActionType
    const names = fields.get(entityType) ?? []
    const entity = entityType === 'user' && own ? own : example(names)
    const event = writeBody({
      ...entity,
      entityType,
      actionType,
      resultJson: actionType === 'delete' ? null : entity.resultJson,
      lastJson: lastOf(last?.get(entityType), entity.resultJson),
    })
    const changed = names.find(name => name !== 'id')
    const full =
      look.previous && actionType === 'update' && changed !== undefined && !untold.has(entityType)
        ? `${event.slice(0, -1)},"previous":{${JSON.stringify(changed)}:"…"}}`
        : event
    const body = look.isBatch ? batchBody([full]) : full
    return [{ trigger, headers: headersOf(look, body), body }]
  })
}

/** Of what is shown of the entity, the fields that a `delete` tells. */
function lastOf(names: readonly string[] | undefined, resultJson: string): string | null {
  if (names === undefined) return null
  const result = fieldsAt(resultJson, 0)
  const members = names.flatMap(name => {
    const value = result?.get(name)
    return value === undefined ? [] : `${JSON.stringify(name)}:${value}`
  })
  return `{${members.join(',')}}`
}

function example(fields: readonly string[]): { entityIdJson: string; resultJson: string } {
  const result = Object.fromEntries(fields.map(name => [name, name === 'id' ? 1 : '…']))
  return { entityIdJson: '1', resultJson: JSON.stringify(result) }
}

function headersOf({ headerNames, isBatch }: Look, body: string): Record<string, string> {
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
