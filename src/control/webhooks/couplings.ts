import { mayAct } from '../../domain/access/role.ts'
import type { ShownState, Sorting } from '../../domain/shown/webhook-states.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { type Figures, searchWebhooks, webhookFigures } from '../../outbox/reading/couplings.ts'
import type { Caller, Control } from '../kit/control.ts'
import { tenantAsked } from '../kit/tenants.ts'

export type { Figures }
export type ListedWebhook = { readonly webhook: Webhook; readonly figures: Figures }

const perPage = 50

/**
 * The caller's webhooks, or a tenant's, with their figures: page `page` of 50 (from 1), with `search` in the name or URL, and
 * in one state, or any (null).
 */
export async function listWithFigures(
  control: Control,
  caller: Caller,
  {
    search,
    page,
    tenant,
    state = null,
    sort = 'state',
  }: { search: string; page: number; tenant?: string | null; state?: ShownState | null; sort?: Sorting },
  nowMs: number,
): Promise<{ items: ListedWebhook[]; hasMore: boolean }> {
  const found = await searchWebhooks(control.outbox, {
    search,
    // A search must not reveal a hidden URL.
    inWholeUrl: mayAct(caller.role, 'admin'),
    tenant: tenantAsked(caller, tenant),
    state,
    sort,
    limit: perPage + 1,
    offset: (page - 1) * perPage,
  })
  const webhooks = found.slice(0, perPage)
  const figures = await webhookFigures(
    control.outbox,
    webhooks.map(({ id }) => id),
    nowMs,
  )
  const items = webhooks.map(webhook => ({ webhook, figures: figures.get(webhook.id)! }))
  return { items, hasMore: found.length > perPage }
}
