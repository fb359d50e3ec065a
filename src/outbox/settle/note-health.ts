import type pg from 'pg'
import type { Disabled } from '../records/health.ts'
import { endIncidents, type IncidentReport, noteIncidents } from '../records/incidents.ts'

/** Opens and ends the incidents of webhooks in a settlement's commit: one statement for all webhooks. */
export async function noteHealth(
  client: pg.ClientBase,
  news: {
    readonly failing: readonly number[]
    readonly wellAgain: readonly number[]
    readonly disabled: readonly Disabled[]
    /** The number of dead deliveries by webhook. */
    readonly dead: ReadonlyMap<number, number>
  },
): Promise<void> {
  await endIncidents(client, news.wellAgain, ['webhook.failing'], { alertsEnd: true })
  // A disabled webhook is no longer failing.
  const alerted = news.disabled.filter(({ isOfAlert }) => !isOfAlert)
  await endIncidents(
    client,
    news.disabled.map(({ webhookId }) => webhookId),
    ['webhook.failing'],
  )
  const reports: IncidentReport[] = [
    ...news.failing.map(of => ({ kind: 'webhook.failing' as const, of })),
    ...alerted.map(({ webhookId, code }) => ({
      kind: 'webhook.disabled' as const,
      of: webhookId,
      facts: { reason: code },
    })),
    ...[...news.dead].map(([of, count]) => ({ kind: 'delivery.dead' as const, of, count })),
  ]
  await noteIncidents(client, reports)
}
