import { messageId } from '../domain/event.ts'
import type { TimeId } from '../domain/time-id.ts'
import { recordAudit } from '../outbox/audit.ts'
import { inTransaction } from '../outbox/database.ts'
import * as outbox from '../outbox/resend.ts'
import type { Caller, Control } from './control.ts'
import { conflict, type Failed, notFound, type Result } from './result.ts'

/** An event that waits to be sent once more. */
export type Resend = {
  readonly webhookId: number
  readonly eventId: TimeId
  readonly messageId: string
  readonly entityType: string
  readonly entityId: string
  /** The event of the same entity that is on its way or comes first, or null where this one is next. */
  readonly behind: TimeId | null
  /** A newer event of the entity was delivered, or is on its way: the receiver gets an older state after it. */
  readonly newerDelivered: boolean
}

/**
 * Sends an event to a webhook once more, under the same `webhook-id`: whatever became of it before, and also where
 * the webhook did not want it. It waits in its entity's lane like any other event and begins with its first attempt.
 * Fails for a webhook that is not active, and while this very event is on its way.
 */
export async function resendEvent(
  control: Control,
  caller: Caller,
  webhookId: number,
  eventId: TimeId,
): Promise<Result<Resend>> {
  const resent = await inTransaction(control.outbox, async ({ client }) => {
    const done = await outbox.resendEvent(client, { webhookId, eventId })
    if (done.state === 'queued')
      await recordAudit(client, caller, 'deliveries.resent', { webhookId, to: { eventId } })
    return done
  })
  switch (resent.state) {
    case 'queued': {
      const { state, ...where } = resent
      return { ok: true, value: { ...where, webhookId, eventId, messageId: messageId(webhookId, eventId) } }
    }
    case 'no_webhook':
      return notFound('webhook', webhookId)
    case 'no_event':
      return notFound('event', String(eventId))
    case 'inactive':
      return notActive(webhookId, resent.disabledReason)
    case 'in_flight':
      return conflict(
        `Event ${eventId} is on its way to webhook ${webhookId} at this moment. The log will say what became of it.`,
      )
    default:
      return resent satisfies never
  }
}

/** Why nothing is put into the queue of a webhook that does not send. */
export function notActive(webhookId: number, disabledReason: string | null): Failed {
  return conflict(
    disabledReason === null
      ? `Webhook ${webhookId} is not active, so nothing would be sent. Activate it first.`
      : `Webhook ${webhookId} was disabled: ${disabledReason} Activate it again first.`,
  )
}
