import { alertRoutes } from './alerts/alerts.ts'
import { recipientRoutes } from './alerts/recipients.ts'
import { replayRoutes } from './bulk/replays.ts'
import { eventTypeRoutes } from './event-types/event-types.ts'
import type { Route } from './kit/route.ts'
import { applyRoutes } from './routes/apply.ts'
import { auditRoutes } from './routes/audit.ts'
import { backfillRoutes } from './routes/backfills.ts'
import { eventRoutes } from './routes/events.ts'
import { forgetRoutes } from './routes/forget.ts'
import { logRoutes } from './routes/log.ts'
import { queueRoutes } from './routes/queue.ts'
import { secretRoutes } from './routes/secrets.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { statusRoutes } from './routes/status.ts'
import { tokenRoutes } from './routes/tokens.ts'
import { webhookRoutes } from './routes/webhooks.ts'

/** Everything under `/api`, in the order of the document. */
export const routes: readonly Route[] = [
  ...webhookRoutes,
  ...applyRoutes,
  ...eventTypeRoutes,
  ...secretRoutes,
  ...recipientRoutes,
  ...logRoutes,
  ...eventRoutes,
  ...queueRoutes,
  ...replayRoutes,
  ...backfillRoutes,
  ...forgetRoutes,
  ...tokenRoutes,
  ...sessionRoutes,
  ...auditRoutes,
  ...statusRoutes,
  ...alertRoutes,
]
