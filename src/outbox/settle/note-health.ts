import type pg from 'pg'
import type { Disabled } from '../records/health.ts'
import { endIncidents, type Happening, noteIncident } from '../records/incidents.ts'

/** Updates the health of webhooks in a settlement's commit, in order, so that two settlements never deadlock. */
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
  for (const webhookId of news.wellAgain.toSorted((a, b) => a - b))
    await endIncidents(client, webhookId, ['webhook.failing'], { tellsEnd: true })
  // A disabled webhook is no longer failing.
  const told = news.disabled.filter(({ isOfAlert }) => !isOfAlert)
  for (const { webhookId } of news.disabled) await endIncidents(client, webhookId, ['webhook.failing'])
  const happenings: Happening[] = [
    ...news.failing.map(of => ({ kind: 'webhook.failing' as const, of })),
    ...told.map(({ webhookId, code }) => ({
      kind: 'webhook.disabled' as const,
      of: webhookId,
      facts: { reason: code },
    })),
    ...[...news.dead].map(([of, count]) => ({ kind: 'delivery.dead' as const, of, count })),
  ]
  happenings.sort((a, b) => Number(a.of) - Number(b.of) || (a.kind < b.kind ? -1 : 1))
  for (const happening of happenings) await noteIncident(client, happening)
}
