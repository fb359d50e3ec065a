import type { Log } from '../../runtime/log.ts'
import { sleep } from '../../runtime/sleep.ts'
import { advanceRetentionClock, type Clock, newestIdTime } from '../database/clock.ts'
import type { Outbox } from '../database/database.ts'
import { pruneAudit } from '../records/audit.ts'
import { deleteLeftovers } from '../records/webhooks.ts'
import { dayMs, ensurePartitions } from './partitions.ts'
import { dropOldDays, type HeldDay, type Retention } from './retention.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
/** Per process and hour: after a stop of forty days, forty days are dropped within forty hours. */
const dropStepMs = dayMs
/** The first step is shorter, for processes that restart repeatedly. */
const firstStepMs = hourMs
/** Smaller clock differences do not matter. */
const differsMs = 60_000

/** Creates the days where events may be stored: now, and at the newest id. */
export async function ensureDays(outbox: Outbox, nowMs: number): Promise<{ idsAheadMs: number }> {
  await ensurePartitions(outbox, nowMs)
  const newest = (await newestIdTime(outbox)) ?? nowMs
  // Ids continue from there, whatever the clock says.
  if (newest > nowMs + dayMs) await ensurePartitions(outbox, newest)
  return { idsAheadMs: Math.max(0, newest - nowMs) }
}

/**
 * Maintains the days: creates them ahead every minute, so that a jumping clock finds its day soon, and drops expired ones
 * every hour; one process at a time. Reports clock differences: this host's to the database's, and the newest id's to both.
 */
export async function keepDays(
  outbox: Outbox,
  options: { clock: Clock; keep: Retention & { readonly auditDays: number | null }; log: Log },
  signal: AbortSignal,
): Promise<void> {
  const { clock, keep, log } = options
  let droppedAtMs = Number.NEGATIVE_INFINITY
  let stepMs = firstStepMs
  const logChange = createChangeLog(log)
  while (!signal.aborted) {
    logChange('clock.host_differs', await clock.adjust(), {
      because: "this host's clock differs from the database's. walhook uses the database's clock",
    })
    const { idsAheadMs } = await ensureDays(outbox, clock.nowMs())
    logChange('clock.ids_ahead', idsAheadMs, {
      because:
        'a clock was ahead when walhook stored the newest event: ids show that later time until it is reached',
    })
    if (performance.now() - droppedAtMs >= hourMs) {
      const { atMs, behindMs } = await advanceRetentionClock(outbox, stepMs)
      stepMs = dropStepMs
      if (behindMs > 2 * dayMs)
        log.error('clock.jumped', {
          days: Math.round(behindMs / dayMs),
          because: "the database's clock is far ahead of the last run: walhook drops one old day per hour",
        })
      const { dropped, held } = await dropOldDays(outbox, atMs, keep)
      if (dropped.length > 0) log.info('outbox.days_dropped', { dropped })
      const byWebhooks = held.filter(({ webhookIds }) => webhookIds.length > 0)
      if (byWebhooks.length > 0) log.warn('outbox.days_held', describeHeld(byWebhooks))
      const byCells = held.filter(({ cells }) => cells.length > 0)
      if (byCells.length > 0) log.warn('outbox.days_held_for_cells', describeHeldForCells(byCells))
      // A process may have crashed while it deleted a webhook.
      await deleteLeftovers(outbox)
      if (keep.auditDays !== null) {
        const pruned = await pruneAudit(outbox, atMs - keep.auditDays * dayMs)
        if (pruned > 0) log.info('outbox.audit_pruned', { records: pruned })
      }
      droppedAtMs = performance.now()
    }
    await sleep(minuteMs, signal)
  }
}

/** The held days, the webhooks that need them, and the fix. */
function describeHeld(held: readonly HeldDay[]) {
  const webhookIds = [...new Set(held.flatMap(day => day.webhookIds))].sort((a, b) => a - b)
  const [one] = webhookIds
  return {
    days: held.length,
    oldest: oldestOf(held),
    webhook_ids: webhookIds,
    because: `walhook keeps these days longer, because events of them are pending for these webhooks: fix the receiver, cancel the pending deliveries (POST /api/webhooks/${one}/cancel), or delete the webhook`,
  }
}

function describeHeldForCells(held: readonly HeldDay[]) {
  return {
    days: held.length,
    oldest: oldestOf(held),
    cells: [...new Set(held.flatMap(({ cells }) => cells))],
    because:
      'walhook keeps these days longer, because these cells have not copied their events yet: walhook cell list says why',
  }
}

const oldestOf = (held: readonly HeldDay[]) =>
  new Date(Math.min(...held.map(({ startMs }) => startMs))).toISOString().slice(0, 10)

/** Reports a difference when it appears, and again when it has changed by as much. */
function createChangeLog(log: Log) {
  const last = new Map<string, number>()
  return (name: string, ms: number, facts: object) => {
    const before = last.get(name) ?? 0
    if (Math.abs(ms - before) < differsMs) return
    last.set(name, ms)
    if (Math.abs(ms) >= differsMs) log.warn(name, { seconds: Math.round(ms / 1000), ...facts })
  }
}
