import { Hono } from 'hono'
import type { Control } from '../control/control.ts'
import { readStatus, type Status } from '../control/status.ts'
import { formatLsn, type Lsn } from '../domain/lsn.ts'

/** `/api/status`. */
export function statusRoutes(control: Control): Hono {
  return new Hono().get('/', async c => c.json(statusJson(await readStatus(control))))
}

const lsn = (value: Lsn | null | undefined) =>
  value === null || value === undefined ? null : formatLsn(value)

function statusJson({ capture, position, lastEvent, gaps, queue }: Status) {
  const { source } = capture
  const stored =
    position && [position.commitLsn, source?.confirmedLsn ?? 0n].reduce((a, b) => (a > b ? a : b))
  return {
    capture: {
      state: capture.state,
      reason: capture.reason,
      slot: capture.slotName,
      commit_lsn: lsn(position?.commitLsn),
      confirmed_lsn: lsn(source?.confirmedLsn),
      wal_end: lsn(source?.walEnd),
      lag_bytes:
        source && stored !== null ? Number(source.walEnd > stored ? source.walEnd - stored : 0n) : null,
      held_back_bytes: source?.heldBackBytes ?? null,
      probe_ms: capture.probeMs,
    },
    last_event: lastEvent && {
      id: String(lastEvent.id),
      entity_type: lastEvent.entityType,
      entity_id: lastEvent.entityId,
      action_type: lastEvent.actionType,
      committed_at: lastEvent.committedAt.toISOString(),
    },
    gaps: gaps.map(gap => ({
      id: gap.id,
      reason: gap.reason,
      detail: gap.detail,
      from_lsn: lsn(gap.fromLsn),
      to_lsn: lsn(gap.toLsn),
      found_at: gap.foundAt.toISOString(),
      resynced_at: gap.resyncedAt?.toISOString() ?? null,
    })),
    queue: {
      deliveries_waiting: queue.deliveries,
      lanes_waiting: queue.lanes,
      deliveries_dead: queue.deadDeliveries,
    },
  }
}
