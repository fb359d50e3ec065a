import type { WebhookStates } from '../../domain/shown/webhook-states.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { readWebhookStates } from '../../outbox/reading/webhook-states.ts'
import type { Control } from '../kit/control.ts'

const goodForMs = 2_000
const mostKept = 1_000

type Answer = { readonly atMs: number; readonly states: Promise<WebhookStates> }

/** Cached answers, by tenant. */
const known = new WeakMap<Outbox, Map<string | null, Answer>>()

/** The webhook states of a tenant, or of all (null). Every page shows them: one query per two seconds at most. */
export async function webhookStates(
  { outbox }: Pick<Control, 'outbox'>,
  tenant: string | null,
  nowMs: number,
): Promise<WebhookStates> {
  const answers = known.get(outbox) ?? new Map<string | null, Answer>()
  known.set(outbox, answers)
  const answer = answers.get(tenant)
  if (answer && nowMs - answer.atMs < goodForMs && nowMs >= answer.atMs) return await answer.states
  if (answers.size >= mostKept) answers.clear()
  const states = readWebhookStates(outbox, tenant)
  answers.set(tenant, { atMs: nowMs, states })
  states.catch(() => answers.delete(tenant))
  return await states
}
