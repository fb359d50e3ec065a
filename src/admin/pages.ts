import { auditPages } from './audit.ts'
import { couplingAttemptPages } from './coupling-attempt.ts'
import { couplingEditPages } from './coupling-edit.ts'
import { couplingLogPages } from './coupling-log.ts'
import { couplingQueuePages } from './coupling-queue.ts'
import { couplingSecretPages } from './coupling-secret.ts'
import { couplingTestPages } from './coupling-test.ts'
import { couplingsPages } from './couplings.ts'
import { eventPages } from './event-pages.ts'
import { healthPages } from './health.ts'
import type { Page } from './page.ts'
import { tokenPages } from './tokens.ts'

/** Everything for people behind the log-in. An address in words comes before one with an id. */
export const pages: readonly Page[] = [
  ...couplingsPages,
  ...couplingEditPages,
  ...couplingTestPages,
  ...couplingSecretPages,
  ...couplingLogPages,
  ...couplingQueuePages,
  ...couplingAttemptPages,
  ...eventPages,
  ...healthPages,
  ...tokenPages,
  ...auditPages,
]
