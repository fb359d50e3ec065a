import { auditPages } from './audit.ts'
import { backfillPages } from './bulk/backfill.ts'
import { replayPages } from './bulk/replay.ts'
import { cataloguePages } from './catalogue/catalogue.ts'
import { healthPages } from './health.ts'
import type { Page } from './kit/page.ts'
import { eventPages } from './log/event-pages.ts'
import { overviewPages } from './overview/overview.ts'
import { tokenPages } from './tokens.ts'
import { webhookAttemptPages } from './webhook/attempt.ts'
import { webhookEditPages } from './webhook/edit.ts'
import { webhookListPages } from './webhook/list.ts'
import { webhookLogPages } from './webhook/log.ts'
import { webhookQueuePages } from './webhook/queue.ts'
import { webhookRecipientPages } from './webhook/recipients.ts'
import { webhookSecretPages } from './webhook/secret.ts'
import { webhookTestPages } from './webhook/test.ts'
import { webhookValidationPages } from './webhook/validate.ts'

/** Every page behind the log-in. A literal path precedes one with an id. */
export const pages: readonly Page[] = [
  ...webhookListPages,
  ...webhookValidationPages,
  ...webhookEditPages,
  ...webhookTestPages,
  ...webhookSecretPages,
  ...webhookRecipientPages,
  ...webhookLogPages,
  ...overviewPages,
  ...webhookQueuePages,
  ...webhookAttemptPages,
  ...replayPages,
  ...backfillPages,
  ...eventPages,
  ...cataloguePages,
  ...healthPages,
  ...tokenPages,
  ...auditPages,
]
