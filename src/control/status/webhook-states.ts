import { shownStates, type WebhookStates } from '../../domain/shown/webhook-states.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { countWebhooks, readWebhookStates, type WebhookCounts } from '../../outbox/reading/webhook-states.ts'
import { overCells } from '../kit/cells.ts'
import type { Control } from '../kit/control.ts'

const goodForMs = 2_000
const maxKept = 1_000

type Cached = { readonly atMs: number; readonly states: Promise<WebhookStates> }

/** Cached answers, by tenant. */
const known = new WeakMap<Outbox, Map<string | null, Cached>>()

/** The webhook states of a tenant, or of all (null). Every page shows them: one query per two seconds at most. */
export async function webhookStates(
  control: Pick<Control, 'cells'>,
  tenant: string | null,
  nowMs: number,
): Promise<WebhookStates> {
  const { outbox } = control.cells.main
  const results = known.get(outbox) ?? new Map<string | null, Cached>()
  known.set(outbox, results)
  const response = results.get(tenant)
  if (response && nowMs - response.atMs < goodForMs && nowMs >= response.atMs) return await response.states
  if (results.size >= maxKept) results.clear()
  const states = readStates(control, tenant)
  results.set(tenant, { atMs: nowMs, states })
  states.catch(() => results.delete(tenant))
  return await states
}

const maxNamed = 10

async function readStates(control: Pick<Control, 'cells'>, tenant: string | null): Promise<WebhookStates> {
  const { results } = await overCells(control, outbox => readWebhookStates(outbox, tenant))
  const all = results.map(({ value }) => value)
  const counts = { inactive: 0, disabled: 0, failing: 0, active: 0 }
  for (const state of shownStates) counts[state] = all.reduce((sum, { counts }) => sum + counts[state], 0)
  const unwell = all.flatMap(({ unwell }) => unwell).sort((a, b) => a.state.localeCompare(b.state))
  return { counts, unwell: unwell.slice(0, maxNamed) }
}

/** How many webhooks the cells that answer have in each state, for monitoring. */
export async function countStates(control: Pick<Control, 'cells'>): Promise<WebhookCounts> {
  const { results } = await overCells(control, outbox => countWebhooks(outbox))
  const sum = (state: keyof WebhookCounts) => results.reduce((total, { value }) => total + value[state], 0)
  return {
    active: sum('active'),
    failing: sum('failing'),
    disabled: sum('disabled'),
    inactive: sum('inactive'),
  }
}
