import { z } from 'zod'
import type { LoggedAttempt } from '../../control/kit/control.ts'
import type { Role } from '../../domain/access/role.ts'
import { outcomes } from '../../domain/delivery/outcome.ts'
import { shownType } from '../../domain/event/alert.ts'
import { shownAttempt } from '../../domain/shown/shown.ts'
import { bigId, time, tooLargeBytes } from '../kit/fields.ts'

export const triggers = ['schedule', 'manual', 'test'] as const

const headers = z.record(z.string(), z.string())

/** One HTTP request of the log, in full. */
export const attemptSchema = z
  .object({
    id: bigId(),
    webhook_id: z.int(),
    trigger: z
      .enum(triggers)
      .meta({ description: 'Why walhook sent it: a change, a resend by hand, or a test.' }),
    event_id: bigId().nullable().meta({ description: 'Null for a test and for a batch.' }),
    event_ids: z
      .array(bigId())
      .nullable()
      .meta({ description: 'The events of a batch, in the order of the body. Null for any other request.' }),
    message_id: z.string().meta({ description: 'The header `webhook-id`, the same on every attempt.' }),
    entity_type: z.string().nullable().meta({ description: 'Null for a batch, like the next two fields.' }),
    entity_id: z.string().nullable(),
    action_type: z.string().nullable(),
    number: z.int().meta({ description: 'The number of this attempt of a delivery or a batch, from 1.' }),
    outcome: z.enum(outcomes),
    error: z
      .object({ class: z.string(), message: z.string() })
      .nullable()
      .meta({ description: 'Why the attempt failed, and what to try.' }),
    started_at: time(),
    duration_ms: z.number(),
    phases: z
      .object({
        dns: z.number().optional(),
        connect: z.number().optional(),
        tls: z.number().optional(),
        first_byte: z.number().optional(),
        body: z.number().optional(),
      })
      .meta({
        description:
          'The duration of each phase in ms. Phases that did not happen are absent: a kept-alive connection has no dns, connect or tls.',
      }),
    remote_address: z.string().nullable(),
    next_attempt_at: time().nullable(),
    bodies_kept: z.boolean().meta({
      description:
        "Whether the log still has both bodies. The webhook's `log_bodies`, their age, and forgetting the entity remove them.",
    }),
    too_large_bytes: tooLargeBytes(),
    request: z.object({ method: z.literal('POST'), url: z.string(), headers, body: z.string() }),
    response: z
      .object({ status: z.int(), headers, body: z.string(), truncated: z.boolean() })
      .nullable()
      .meta({ description: 'Null if no complete response head arrived.' }),
  })
  .meta({ id: 'Attempt' })

export const shownTo = (role: Role) => (logged: LoggedAttempt) => {
  const { errorClass, errorMessage, ...attempt } = shownAttempt(logged, role)
  return {
    ...attempt,
    entityType: attempt.entityType && shownType(attempt.entityType),
    error: errorClass === null ? null : { class: errorClass, message: errorMessage ?? '' },
    phases: { ...attempt.phases, firstByte: attempt.phases.first_byte },
    bodiesKept: attempt.hasBodies,
    request: { ...attempt.request, method: 'POST' as const },
  }
}
