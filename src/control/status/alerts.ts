import { type Incident, listIncidents } from '../../outbox/records/incidents.ts'
import type { Control } from '../kit/control.ts'
import type { Page } from '../webhooks/webhooks.ts'

export type { Incident }

/** Incidents, newest first; `isOpen`: open ones only. */
export async function listAlerts(
  { outbox }: Pick<Control, 'outbox'>,
  page: { limit: number; before: number | null; isOpen: boolean },
): Promise<Page<Incident, number>> {
  const found = await listIncidents(outbox, { ...page, limit: page.limit + 1 })
  const items = found.slice(0, page.limit)
  return { items, next: found.length > page.limit ? items.at(-1)!.id : null }
}
