import { shownStates, type WebhookStates } from '../../domain/shown/webhook-states.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { countWebhooks, readWebhookStates, type WebhookCounts } from '../../outbox/reading/webhook-states.ts'
import { overCells } from '../kit/cells.ts'
import type { Control } from '../kit/control.ts'

const goodForMs = 2_000
const mostKept = 1_000

type Answer = { readonly atMs: number; readonly states: Promise<WebhookStates> }

/** Cached answers, by tenant. */
const known = new WeakMap<Outbox, Map<string | null, Answer>>()

/** The webhook states of a tenant, or of all (null). Every page shows them: one query per two seconds at most. */
export async function webhookStates(
  control: Pick<Control, 'cells'>,
  tenant: string | null,
  nowMs: number,
): Promise<WebhookStates> {
  const { outbox } = control.cells.main
  const answers = known.get(outbox) ?? new Map<string | null, Answer>()
  known.set(outbox, answers)
  const answer = answers.get(tenant)
  if (answer && nowMs - answer.atMs < goodForMs && nowMs >= answer.atMs) return await answer.states
  if (answers.size >= mostKept) answers.clear()
  const states = readStates(control, tenant)
  answers.set(tenant, { atMs: nowMs, states })
  states.catch(() => answers.delete(tenant))
  return await states
}

const mostNamed = 10

async function readStates(control: Pick<Control, 'cells'>, tenant: string | null): Promise<WebhookStates> {
  const { answers } = await overCells(control, outbox => readWebhookStates(outbox, tenant))
  const all = answers.map(({ value }) => value)
  const counts = { inactive: 0, disabled: 0, failing: 0, active: 0 }
  for (const state of shownStates) counts[state] = all.reduce((sum, { counts }) => sum + counts[state], 0)
  const unwell = all.flatMap(({ unwell }) => unwell).sort((a, b) => a.state.localeCompare(b.state))
  return { counts, unwell: unwell.slice(0, mostNamed) }
}

/** How many webhooks the cells that answer have in each state, for monitoring. */
export async function countStates(control: Pick<Control, 'cells'>): Promise<WebhookCounts> {
  const { answers } = await overCells(control, outbox => countWebhooks(outbox))
  const sum = (state: keyof WebhookCounts) => answers.reduce((total, { value }) => total + value[state], 0)
  return {
    active: sum('active'),
    failing: sum('failing'),
    disabled: sum('disabled'),
    inactive: sum('inactive'),
  }
}
