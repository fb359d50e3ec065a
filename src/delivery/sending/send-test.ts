import { randomUUID } from 'node:crypto'
import type { Attempt } from '../../domain/delivery/attempt.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { insertAttempts, type LoggedAttempt } from '../../outbox/reading/attempts.ts'
import type { Deliver, Target } from './deliver.ts'

/** What a test tells: an entity as it is now. */
export type TestMessage = { entityType: string; entityId: string; body: string }

/**
 * Sends a test the way any delivery goes, except that nothing waits for it and nothing follows: it is logged,
 * and counts for nothing. Returns the attempt, whatever the receiver did.
 */
export async function sendTest(
  outbox: Outbox,
  deliver: Deliver,
  target: Target,
  message: TestMessage,
): Promise<LoggedAttempt> {
  const attempt = await tryTest(deliver, target, message)
  const [logged] = await insertAttempts(outbox.pool, [
    { attempt, nextAttemptInMs: null, withPrevious: false, isBodyKept: true },
  ])
  return { ...attempt, id: logged!.id, nextAttemptAt: null, facts: null, hasBodies: true }
}

/** The same to a target that is not saved, and so has no log. */
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
    // Its deadline ends it soon enough.
    new AbortController().signal,
  )
}
