import type { Health } from './api/api.ts'
import type { CaptureState } from './capture/continuity/state.ts'
import type { Cell, Cells } from './outbox/cells/cells.ts'
import { whyAway } from './outbox/cells/reach.ts'
import type { Outbox } from './outbox/database/database.ts'
import { describeError } from './runtime/log.ts'
import { within } from './runtime/within.ts'

/** The time limit for a database, in ms: a dead link gives neither an error nor an answer. */
export const responseTimeoutMs = 3_000

/** Whether the outbox answers. */
export function databaseHealth(outbox: Outbox): Promise<Health> {
  return within(responseTimeoutMs, outbox.pool.query('select')).then(
    () => ({ ok: true, status: 'reachable' }),
    error => ({ ok: false, status: 'no answer', reason: describeError(error) }),
  )
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

/**
 * Whether the cells besides main answer, and their deliveries continue. Only its own webhooks wait for a cell, so the process is ready
 * either way. `stallOf`: why a cell's deliveries do not continue, or null.
 */
export async function cellsHealth(
  { main, all }: Cells,
  stallOf: (name: string) => string | null,
): Promise<Record<string, Health>> {
  const others = all().filter(cell => cell !== main)
  const parts = others.map(
    async cell => [`cell:${cell.name}`, await cellHealth(cell, stallOf(cell.name))] as const,
  )
  return Object.fromEntries(await Promise.all(parts))
}

async function cellHealth(cell: Cell, stall: string | null): Promise<Health> {
  const away = await whyAway(cell)
  if (away !== null) return { ok: false, status: 'away', reason: away, isVital: false }
  if (stall !== null) return { ok: false, status: 'stalled', reason: stall, isVital: false }
  return { ok: true, status: 'working', isVital: false }
}
