import { writeBody } from '../domain/event.ts'
import { batchBody } from '../domain/shipment.ts'
import type { LoggedAttempt } from '../outbox/attempts.ts'
import { findSealed } from '../outbox/secrets.ts'
import { findWebhook } from '../outbox/webhooks.ts'
import type { Caller, Control } from './control.ts'
import { invalid, notFound, type Result } from './result.ts'

const entityType = 'user'

/**
 * Sends a test request to a webhook, active or not, with the data of the caller's own user account, or of the
 * account `userId`. Returns the attempt, whatever the receiver did.
 */
export async function testWebhook(
  control: Control,
  id: number,
  caller: Caller,
  userId: string | null,
): Promise<Result<LoggedAttempt>> {
  const webhook = await findWebhook(control.outbox, id)
  const sealed = await findSealed(control.outbox.pool, id)
  if (!webhook || !sealed) return notFound('webhook', id)

  if (!control.entityTypes.includes(entityType))
    return invalid({
      pointer: '',
      detail: `A test sends a user account, and the mapping has no entity "user".`,
    })
  const key = userId ?? caller.userId
  if (key === null)
    return invalid({
      pointer: '/user_id',
      detail: `A test sends the data of your user account, and the token "${caller.name}" belongs to none. Send {"user_id": …} with the id of an account, or make a token with one (walhook token NAME --user ID; for WALHOOK_ADMIN_TOKEN: WALHOOK_ADMIN_USER).`,
    })
  const entity = await control.readEntity(entityType, key)
  if (!entity)
    return invalid({
      pointer: '/user_id',
      detail: `There is no user account with the id ${JSON.stringify(key)}.`,
    })

  const { entityId, ...content } = entity
  const event = writeBody({ ...content, entityType, actionType: 'test' })
  // A receiver of batches gets a batch of one.
  const body = webhook.batch ? batchBody([event]) : event
  const target = { webhookId: id, url: webhook.url, sealed }
  return { ok: true, value: await control.sendTest(target, { entityType, entityId, body }) }
}
