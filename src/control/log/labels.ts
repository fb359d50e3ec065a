import { keepsValues, labelOf } from '../../domain/event/label.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { readLabelledBodies } from '../../outbox/listing/labelled-bodies.ts'
import type { AttemptLine } from '../../outbox/reading/attempt-lines.ts'
import type { EventLine } from '../../outbox/reading/events.ts'
import type { Caller, Control } from '../kit/control.ts'
import { eventFor } from '../kit/tenants.ts'

/** Events with their entities' labels, if the caller may see the bodies. `event` is as stored. */
export async function withLabels<E extends EventLine>(
  control: Pick<Control, 'outbox' | 'labels'>,
  caller: Pick<Caller, 'tenant'>,
  events: readonly E[],
): Promise<(E & { readonly label: string | null })[]> {
  const labelled = events.filter(({ entityType }) => control.labels.has(entityType))
  const bodies = await readLabelledBodies(
    control.outbox,
    labelled.map(({ id }) => id),
  )
  return events.map(event => {
    const body = bodies.get(event.id)?.body
    const known = body === undefined ? null : eventFor(caller, { ...event, body })
    return { ...event, label: known === null ? null : labelFor(control, event.entityType, known.body) }
  })
}

/** The label of an entity whose body the caller sees. */
export function labelFor(
  { labels }: Pick<Control, 'labels'>,
  entityType: string | null,
  body: string,
): string | null {
  const fields = entityType === null ? undefined : labels.get(entityType)
  return fields ? labelOf(fields, body) : null
}

/** The labels of entities in a webhook's requests, by event id, if its log stores bodies. */
export async function labelsOfLines(
  control: Pick<Control, 'outbox' | 'labels'>,
  lines: readonly AttemptLine[],
): Promise<(line: AttemptLine) => string | null> {
  const isLabelled = ({ hasBodies, entityType, eventId }: AttemptLine) =>
    hasBodies && eventId !== null && entityType !== null && control.labels.has(entityType)
  const ids = lines.filter(isLabelled).map(({ eventId }) => eventId as TimeId)
  const bodies = await readLabelledBodies(control.outbox, ids)
  return line => {
    const event = line.eventId !== null && isLabelled(line) ? bodies.get(line.eventId) : undefined
    if (!event || !keepsValues(event.actionType, line.actionType)) return null
    return labelFor(control, line.entityType, event.body)
  }
}
