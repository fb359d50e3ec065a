import { z } from 'zod'
import { forgetEntity } from '../../control/log/forget.ts'
import { awayOf, cellsAway, text } from '../kit/fields.ts'
import { respond, route } from '../kit/route.ts'

const forgetRequest = z
  .strictObject({
    entity_type: text().min(1).max(200),
    entity_id: z.union([text().min(1).max(1_024), z.int()], 'must be the id of an entity'),
  })
  .meta({ id: 'ForgetRequest' })

const count = (description: string) => z.int().meta({ description })
const forgottenSchema = z
  .object({
    events: count('Events of the entity.'),
    attempts: count('Requests about this entity alone, with their responses. Includes tests.'),
    batches: count('Batches that included the entity: its part, and the response.'),
    deliveries: count('Pending deliveries, which are cancelled.'),
    parked: count('Parked changes of the entity.'),
    answers: count('Stored responses of calls with an `Idempotency-Key`.'),
    is_complete: z.boolean().meta({ description: 'False if more remains: call again.' }),
    cells_away: cellsAway(),
  })
  .meta({ id: 'Forgotten' })

export const forgetRoutes = [
  route({
    method: 'post',
    path: '/api/forget',
    id: 'forgetEntity',
    tag: 'Personal data',
    summary: 'Forgets an entity',
    description:
      'Removes everything stored about it: events, requests, responses, tests and pending deliveries. Receivers keep their copies. The audit records the call without the id. Delete the entity in the application first: later changes are sent as usual.',
    role: 'admin',
    body: forgetRequest,
    response: { status: 200, what: 'The number of removed records', schema: forgottenSchema },
    async handle({ control, caller, body }) {
      const entity = { ...body, entityId: String(body.entityId) }
      return respond(await forgetEntity(control, caller, entity), ({ away, ...done }) => ({
        ...done,
        cellsAway: awayOf(away),
      }))
    },
  }),
]
