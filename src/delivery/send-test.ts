import { randomUUID } from 'node:crypto'
import { insertAttempts, type LoggedAttempt } from '../outbox/attempts.ts'
import type { Outbox } from '../outbox/database.ts'
import type { Deliver, Target } from './deliver.ts'

/**
 * Sends a test the way any delivery goes, except that nothing waits for it and nothing follows: it is logged,
 * and counts for nothing. Returns the attempt, whatever the receiver did.
 */
export async function sendTest(
  outbox: Outbox,
  deliver: Deliver,
  target: Target,
  message: { entityType: string; entityId: string; body: string },
): Promise<LoggedAttempt> {
  const attempt = await deliver(
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
  const [logged] = await insertAttempts(outbox.pool, [
    { attempt, nextAttemptInMs: null, withPrevious: false, isBodyKept: true },
  ])
  return { ...attempt, id: logged!.id, nextAttemptAt: null, facts: null }
}
