import { z } from 'zod'
import { type EventLine, explainEvent, listEvents } from '../../control/log/events.ts'
import { alertActions, shownType } from '../../domain/event/alert.ts'
import { actionTypes } from '../../domain/event/event.ts'
import { eventStates } from '../../domain/event/event-state.ts'
import { explainStates } from '../../domain/shown/explain.ts'
import { parseExactly } from '../../domain/value/json-text.ts'
import { timeOf } from '../../domain/value/time-id.ts'
import {
  anyJson,
  awayOf,
  bigCursor,
  bigId,
  bigIdInput,
  cellsAway,
  id,
  idCursor,
  limit,
  moment,
  pageOf,
  pageOverCells,
  someOf,
  text,
  time,
  tooLargeBytes,
} from '../kit/fields.ts'
import { respond, route } from '../kit/route.ts'
import { tenantAsked, tenantOf } from '../kit/tenant-fields.ts'

const eventFields = {
  id: bigId(),
  entity_type: z.string(),
  entity_id: z.string(),
  action_type: z.enum([...actionTypes, ...alertActions]),
  tenant: tenantOf(),
  committed_at: time().meta({ description: 'The commit of its transaction in the source.' }),
  stored_at: time().meta({ description: 'When walhook stored it.' }),
  changed: z
    .array(z.string())
    .nullable()
    .meta({ description: 'The fields that an update changed. Null where unknown.' }),
  omitted: z
    .array(z.string())
    .nullable()
    .meta({ description: 'Fields that the body lacks because their value is unknown.' }),
}
const labelField = z
  .string()
  .nullable()
  .meta({ description: 'The name of the entity, from the `label` of the mapping. Null: none.' })

const count = (description: string) => z.int().meta({ description })
const listedSchema = z
  .object({
    ...eventFields,
    label: labelField,
    webhooks: z
      .object({
        dead: count('Given up after the last attempt.'),
        retrying: count('Failed, with another attempt to come.'),
        pending: count('Not attempted yet.'),
        delivered: count('Accepted.'),
        cancelled: count('Cancelled by hand.'),
        superseded: count('Replaced by a newer state of the entity.'),
      })
      .meta({
        description:
          'The number of webhooks in each state. All 0: not sent. Of more than 1,000 webhooks, only the oldest count.',
      }),
  })
  .meta({ id: 'ListedEvent' })

const explainedSchema = z
  .object({
    webhook_id: z.int(),
    webhook_name: z.string(),
    state: z.enum(explainStates).meta({
      description:
        'The final state (delivered, superseded, dead, cancelled), the present one (in_flight, due, retrying, blocked, behind, inactive, disabled), or why it was never queued (made_later, inactive_then, disabled_then, not_subscribed, no_wanted_field, filtered, for_another, other_tenant). `unknown`: already deleted from the log.',
    }),
    sentence: z.string().meta({ description: 'The state as a sentence.' }),
    delivered_at: time().nullable().meta({ description: 'When the receiver last accepted it.' }),
    until: time().nullable().meta({ description: 'When it is due, if known.' }),
    other_event_id: bigId()
      .nullable()
      .meta({ description: 'The event that is sent first, or that superseded it.' }),
  })
  .meta({ id: 'ExplainedDelivery' })

const explainedEventSchema = z
  .object({
    ...eventFields,
    label: labelField,
    body: z.string().meta({ description: 'The request body, without additions by settings of a webhook.' }),
    too_large_bytes: tooLargeBytes(),
    previous: z
      .record(z.string(), anyJson())
      .nullable()
      .meta({ description: 'The previous values of the changed fields, if known.' }),
    deliveries: z.array(explainedSchema).meta({ description: 'By webhook id, at most 1,000 per page.' }),
    next_cursor: z.string().nullable().meta({ description: 'Null on the last page.' }),
    cells_away: cellsAway(),
  })
  .meta({ id: 'ExplainedEvent' })

const tag = 'Events'

export const eventRoutes = [
  route({
    method: 'get',
    path: '/api/events',
    id: 'listEvents',
    tag,
    summary: 'Lists events, newest first',
    description:
      'A page searches at most 5,000 events, or 1,000 with `state`. So it may contain fewer than `limit`, even none, and still have a `next_cursor`.',
    role: 'viewer',
    tenants: 'own',
    query: z
      .strictObject({
        tenant: tenantAsked(),
        entity_type: text().min(1).optional().meta({
          description:
            'Alerts have the types `webhook`, `delivery` and `capture`, unless the mapping has that type.',
        }),
        entity_id: text().min(1).optional().meta({ description: 'With `entity_type`.' }),
        action: someOf([...actionTypes, ...alertActions]).optional(),
        state: z.enum(eventStates).optional().meta({
          description:
            'Events in this state at one webhook or more; `not_sent`: events without any delivery.',
        }),
        from: moment().optional().meta({ description: 'Stored at or after this time.' }),
        to: moment().optional().meta({ description: 'Stored before this time.' }),
        limit: limit(100, 50),
        cursor: bigCursor(),
      })
      .refine(
        query => query.entity_id === undefined || query.entity_type !== undefined,
        'name the entity_type with the entity_id',
      ),
    response: { status: 200, what: 'A page of events', schema: pageOverCells(listedSchema) },
    async handle({ control, caller, query }) {
      const { tenant, limit, cursor, action: actions, ...rest } = query
      const filter = { ...rest, actions }
      return respond(
        await listEvents(control, caller, { filter, tenant, limit, before: cursor ?? null }),
        found => pageOf(found, event => ({ ...shown(event), webhooks: event.counts })),
      )
    },
  }),
  route({
    method: 'get',
    path: '/api/events/{event_id}',
    id: 'explainEvent',
    tag,
    summary: 'Reads an event and explains its delivery to each webhook',
    role: 'viewer',
    tenants: 'own',
    params: z.strictObject({ event_id: bigIdInput('an event') }),
    query: z.strictObject({
      webhook_id: id().optional().meta({ description: 'Explains this webhook only.' }),
      cursor: idCursor(),
    }),
    response: { status: 200, what: 'The event with its deliveries', schema: explainedEventSchema },
    async handle({ control, caller, params, query }) {
      return respond(
        await explainEvent(control, caller, params.eventId, {
          webhookId: query.webhookId ?? null,
          after: query.cursor,
        }),
        ({ event, deliveries, next, away }) => ({
          ...shown(event),
          previous: event.previous === null ? null : exactly(event.previous),
          deliveries: deliveries.map(({ other, ...rest }) => ({ ...rest, otherEventId: other })),
          nextCursor: next === null ? null : String(next),
          cellsAway: awayOf(away),
        }),
      )
    },
  }),
]

const shown = <Event extends EventLine>(event: Event) => ({
  ...event,
  entityType: shownType(event.entityType),
  storedAt: new Date(timeOf(event.id)),
})

/** Values in Postgres' text form: every digit stays. */
function exactly(previous: string): z.input<typeof explainedEventSchema>['previous'] {
  return parseExactly(previous) as z.input<typeof explainedEventSchema>['previous']
}
