import { messageId } from '../../domain/event/event.ts'
import { because } from '../../domain/shown/reason.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import * as outbox from '../../outbox/by-hand/resend.ts'
import { transaction } from '../../outbox/database/database.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import type { Caller, Control } from '../kit/control.ts'
import { conflict, type Failed, forbidden, notFound, type Result } from '../kit/result.ts'

/** A queued repetition of an event. */
type Resend = {
  readonly webhookId: number
  readonly eventId: TimeId
  readonly messageId: string
  readonly entityType: string
  readonly entityId: string
  /** The event of the same entity to be sent first; null: this one is next. */
  readonly behind: TimeId | null
  /** A newer event of the entity was delivered, or is in flight: the receiver gets an older state after it. */
  readonly newerDelivered: boolean
}

/**
 * Resends an event to a webhook under the same `webhook-id`, whatever its state. It waits its turn in its entity's order, and
 * starts with attempt 1. Without the trigger, or against the filter, only an admin may do so (`beyondTriggers`): the receiver
 * may not be meant to have the data. Fails for an inactive webhook, and while the event is in flight.
 */
export async function resendEvent(
  control: Control,
  caller: Caller,
  webhookId: number,
  eventId: TimeId,
  { beyondTriggers = false }: { beyondTriggers?: boolean | undefined } = {},
): Promise<Result<Resend>> {
  if (beyondTriggers && caller.role !== 'admin') return beyondForAdmins(caller)
  const resent = await transaction(control.outbox.pool, async client => {
    const done = await outbox.resendEvent(client, { webhookId, eventId, onlyWanted: !beyondTriggers })
    if (done.state === 'queued')
      await recordAudit(client, caller, 'deliveries.resent', {
        webhookId,
        to: { eventId, ...(beyondTriggers && { beyondTriggers }) },
      })
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
    case 'not_wanted':
      return conflict(
        because('event.not_subscribed', { webhookId, trigger: resent.trigger, eventId: String(eventId) }),
      )
    case 'filtered':
      return conflict(because('event.filtered', { webhookId, eventId: String(eventId) }))
    case 'inactive':
      return notActive(webhookId, resent.disabledReason)
    case 'in_flight':
      return conflict(because('event.in_flight', { webhookId, eventId: String(eventId) }))
    default:
      return resent satisfies never
  }
}

/** The refusal to send what a webhook has no trigger for. */
export function beyondForAdmins(caller: Caller): Failed {
  return forbidden(because('replay.beyond_triggers', { caller: caller.name, role: caller.role }))
}

/** The refusal to queue anything for an inactive webhook. */
export function notActive(webhookId: number, disabledReason: string | null): Failed {
  return conflict(
    disabledReason === null
      ? because('webhook.inactive', { webhookId })
      : because('webhook.disabled', { webhookId, why: disabledReason }),
  )
}
