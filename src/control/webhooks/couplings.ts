import { mayAct } from '../../domain/access/role.ts'
import { mergeSorted } from '../../domain/cells/merge-sorted.ts'
import type { ShownState, Sorting } from '../../domain/shown/webhook-states.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { type Figures, searchWebhooks, webhookFigures } from '../../outbox/reading/couplings.ts'
import { overCells } from '../kit/cells.ts'
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
  const first = (page - 1) * perPage
  const hasOthers = control.cells.all().length > 1
  const { results } = await overCells(control, async (outbox, cell) => {
    const found = await searchWebhooks(outbox, {
      search,
      // A search must not reveal a hidden URL.
      inWholeUrl: mayAct(caller.role, 'admin'),
      tenant: tenantAsked(caller, tenant),
      state,
      sort,
      // Webhooks before the page may be in any cell.
      ...(hasOthers ? { limit: first + perPage + 1, offset: 0 } : { limit: perPage + 1, offset: first }),
    })
    return found.map(webhook => ({ webhook, cell }))
  })
  const lists = results.map(({ value }) => value)
  const merged = mergeSorted(lists, (a, b) => goesFirst(sort, a.webhook, b.webhook))
  const found = hasOthers ? merged.slice(first, first + perPage + 1) : merged
  const shown = found.slice(0, perPage)
  // A cell that fails meanwhile shows none of its own.
  const figures = await overCells(control, async (outbox, { name }) =>
    webhookFigures(
      outbox,
      shown.filter(({ cell }) => cell.name === name).map(({ webhook }) => webhook.id),
      nowMs,
    ),
  )
  const byId = new Map(figures.results.flatMap(({ value }) => [...value]))
  const items = shown.flatMap(({ webhook }) => {
    const its = byId.get(webhook.id)
    return its ? [{ webhook, figures: its }] : []
  })
  return { items, hasMore: found.length > perPage }
}

const byName = new Intl.Collator('en')

/** The order of the list, among the first webhooks of cells. */
function goesFirst(sort: Sorting, a: Webhook, b: Webhook): boolean {
  const order = sort === 'state' ? rank(a) - rank(b) : 0
  return (order || byName.compare(a.name.toLowerCase(), b.name.toLowerCase()) || a.id - b.id) < 0
}

/** Disabled webhooks, failing ones, then all others. */
function rank({ isActive, disabledAt, failingSince }: Webhook): number {
  if (!isActive) return 2
  return disabledAt !== null ? 0 : failingSince !== null ? 1 : 2
}
