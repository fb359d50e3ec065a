import { auditRoutes } from './audit.ts'
import { backfillRoutes } from './backfills.ts'
import { eventRoutes } from './events.ts'
import { forgetRoutes } from './forget.ts'
import { logRoutes } from './log.ts'
import { queueRoutes } from './queue.ts'
import type { Route } from './route.ts'
import { secretRoutes } from './secrets.ts'
import { statusRoutes } from './status.ts'
import { tokenRoutes } from './tokens.ts'
import { webhookRoutes } from './webhooks.ts'

/** Everything under `/api`, in the order of the document. */
export const routes: readonly Route[] = [
  ...webhookRoutes,
  ...secretRoutes,
  ...logRoutes,
  ...eventRoutes,
  ...queueRoutes,
  ...backfillRoutes,
  ...forgetRoutes,
  ...tokenRoutes,
  ...auditRoutes,
  ...statusRoutes,
]
