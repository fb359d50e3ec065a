import { randomUUID } from 'node:crypto'
import type { Attempt } from '../../domain/delivery/attempt.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import type { LoggedAttempt } from '../../outbox/reading/attempts.ts'
import { insertAttempt } from '../../outbox/settle/insert-attempts.ts'
import type { Deliver, Target } from './deliver.ts'

/** The content of a test: an entity's present state. */
type TestMessage = { entityType: string; entityId: string; body: string }

/**
 * Sends a test like any delivery, without queue and consequences: it is only logged. Returns the attempt, whatever its
 * result.
 */
export async function sendTest(
  outbox: Outbox,
  deliver: Deliver,
  target: Target,
  message: TestMessage,
): Promise<LoggedAttempt> {
  const attempt = await tryTest(deliver, target, message)
  const entry = { attempt, nextAttemptInMs: null, withPrevious: false, isBodyKept: true }
  const id = await insertAttempt(outbox.pool, entry)
  return { ...attempt, id, nextAttemptAt: null, facts: null, hasBodies: true }
}

/** The same to an unsaved target, without a log. */
export async function tryTest(deliver: Deliver, target: Target, message: TestMessage): Promise<Attempt> {
  return await deliver(
    target,
    {
      ...message,
      trigger: 'test',
      eventId: null,
      eventIds: null,
      messageId: `test_${target.webhookId}_${randomUUID()}`,
      actionType: 'test',
      number: 1,
    },
    // The deadline suffices.
    new AbortController().signal,
  )
}
