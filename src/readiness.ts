import type { Health } from './api/api.ts'
import type { CaptureState } from './capture/continuity/state.ts'
import type { Outbox } from './outbox/database/database.ts'
import { describeError } from './runtime/log.ts'
import { within } from './runtime/within.ts'

/** The time limit for a database, in ms: a dead link gives neither an error nor an answer. */
export const answerMs = 3_000

/** Whether the outbox answers. */
export function databaseHealth(outbox: Outbox): Promise<Health> {
  return within(answerMs, outbox.pool.query('select')).then(
    () => ({ ok: true, status: 'reachable' }),
    error => ({ ok: false, status: 'no answer', reason: describeError(error) }),
  )
}

/** Whether a cell answers, and its deliveries continue. Only its own webhooks wait for it, so this process is ready either way. */
export async function cellHealth(outbox: Outbox, stall: string | null): Promise<Health> {
  const { ok, reason } = await databaseHealth(outbox)
  if (!ok) return { ok: true, status: 'away', reason }
  return stall === null ? { ok: true, status: 'working' } : { ok: true, status: 'stalled', reason: stall }
}

/** Whether deliveries continue. `stall`: why not, or null. */
export function deliveryHealth(stall: string | null): Health {
  return stall === null ? { ok: true, status: 'working' } : { ok: false, status: 'stalled', reason: stall }
}

/** Whether capture continues. `stall`: why not, although changes are pending, or null. */
export function captureHealth({ state, reason }: CaptureState, stall: string | null): Health {
  if (stall !== null) return { ok: false, status: 'stalled', reason: stall }
  const ok = state === 'streaming' || state === 'lagging' || state === 'standing by'
  return { ok, status: state, ...(reason !== null && { reason }) }
}
