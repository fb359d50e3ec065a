import { auditPages } from './audit.ts'
import { webhookAttemptPages } from './coupling-attempt.ts'
import { webhookEditPages } from './coupling-edit.ts'
import { webhookLogPages } from './coupling-log.ts'
import { webhookQueuePages } from './coupling-queue.ts'
import { webhookSecretPages } from './coupling-secret.ts'
import { webhookTestPages } from './coupling-test.ts'
import { webhookListPages } from './couplings.ts'
import { eventPages } from './event-pages.ts'
import { healthPages } from './health.ts'
import type { Page } from './page.ts'
import { tokenPages } from './tokens.ts'

/** Everything for people behind the log-in. An address in words comes before one with an id. */
export const pages: readonly Page[] = [
  ...webhookListPages,
  ...webhookEditPages,
  ...webhookTestPages,
  ...webhookSecretPages,
  ...webhookLogPages,
  ...webhookQueuePages,
  ...webhookAttemptPages,
  ...eventPages,
  ...healthPages,
  ...tokenPages,
  ...auditPages,
]
