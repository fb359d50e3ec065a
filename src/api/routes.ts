import { logRoutes } from './log.ts'
import type { Route } from './route.ts'
import { statusRoutes } from './status.ts'
import { webhookRoutes } from './webhooks.ts'

/** Everything under `/api`, in the order of the document. */
export const routes: readonly Route[] = [...webhookRoutes, ...logRoutes, ...statusRoutes]
