import { z } from 'zod'
import { forgetEntity } from '../control/forget.ts'
import { text } from './fields.ts'
import { answer, route } from './route.ts'

const forgetRequest = z
  .strictObject({
    entity_type: text().min(1).max(200),
    entity_id: z.union([text().min(1).max(1_024), z.int()], 'must be the id of an entity'),
  })
  .meta({ id: 'ForgetRequest' })

const count = (description: string) => z.int().meta({ description })
const forgottenSchema = z
  .object({
    events: count('Events about it.'),
    attempts: count('Requests about it alone, with their answers, tests too.'),
    batches: count('Batches that held it among others: the part that is about it, and what was answered.'),
    deliveries: count('Deliveries that waited, and are never sent.'),
    parked: count('Changes of it that could not be told.'),
    answers: count('Answers that were kept for a repetition with the same `Idempotency-Key`.'),
    is_complete: z
      .boolean()
      .meta({ description: 'False where there was more than one call may take: call again.' }),
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
      'Removes everything that is stored about it: events, requests, answers, tests and what waits to be sent. Receivers keep what they have had. The audit says that it was done, without the id. Delete it in the application first: later changes of it are told as ever.',
    role: 'admin',
    body: forgetRequest,
    answer: { status: 200, what: 'How much there was', schema: forgottenSchema },
    async handle({ control, caller, body }) {
      const entity = { entityType: body.entity_type, entityId: String(body.entity_id) }
      return answer(await forgetEntity(control, caller, entity), ({ isComplete, ...counts }) => ({
        ...counts,
        is_complete: isComplete,
      }))
    },
  }),
]
