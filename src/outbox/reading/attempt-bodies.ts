import { batchBody } from '../../domain/delivery/shipment.ts'
import { bodySent, type EventFacts, sentForm } from '../../domain/event/event.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'

/** The bodies of batches by attempt, rebuilt from their events; absent: none is stored. */
export async function readBatchBodies(
  outbox: Outbox,
  rows: readonly {
    id: TimeId
    event_ids: TimeId[] | null
    request_body: string | null
    with_previous: boolean
  }[],
): Promise<Map<TimeId, string>> {
  const batches = rows.flatMap(({ id, event_ids, request_body, with_previous }) =>
    event_ids && request_body === null ? [{ id, eventIds: event_ids, withPrevious: with_previous }] : [],
  )
  if (batches.length === 0) return new Map()
  const { rows: events } = await outbox.pool.query(
    'select id, body, previous, omitted from walhook.events where id = any($1)',
    [[...new Set(batches.flatMap(({ eventIds }) => eventIds))]],
  )
  const byId = new Map(events.map(event => [event.id, event]))
  return new Map(
    batches.flatMap(({ id, eventIds, withPrevious }) => {
      const parts = eventIds.flatMap(eventId => byId.get(eventId) ?? [])
      // The rest of it, if one was erased.
      if (parts.length === 0) return []
      const form = { asNew: false, asDelete: false, withPrevious }
      return [[id, batchBody(parts.map(event => bodySent(event, form)))] as const]
    }),
  )
}

/** The body of an event, rebuilt from the same parts; empty if it is no longer stored. */
export function eventBodyOf(
  row: Pick<EventFacts, 'previous' | 'omitted'> & {
    action_type: string | null
    event_action_type: string | null
    event_body: string | null
    with_previous: boolean
  },
): string {
  if (row.event_body === null) return ''
  const form = sentForm(row.event_action_type, row.action_type)
  return bodySent({ ...row, body: row.event_body }, { ...form, withPrevious: row.with_previous })
}
