import { z } from 'zod'
import type { Gap } from '../../control/status/status.ts'
import { lagBytes, readStatus, type Status } from '../../control/status/status.ts'
import { mendOf } from '../../domain/capture/capture-code.ts'
import { pageMendOf } from '../../domain/capture/page-failures.ts'
import { formatLsn, type Lsn } from '../../domain/value/lsn.ts'
import { bigId, time } from '../kit/fields.ts'
import { route } from '../kit/route.ts'

const lsnSchema = z.string().meta({ pattern: '^[0-9A-F]+/[0-9A-F]+$' })

const statusSchema = z
  .object({
    capture: z.object({
      state: z.string(),
      reason: z.string().nullable(),
      code: z.string().nullable(),
      mend: z.string().nullable(),
      slot: z.string(),
      commit_lsn: lsnSchema.nullable(),
      confirmed_lsn: lsnSchema.nullable(),
      wal_end: lsnSchema.nullable(),
      lag_bytes: z.number().nullable(),
      held_back_bytes: z.number().nullable(),
      probe_ms: z.number().nullable(),
    }),
    last_event: z
      .object({
        id: bigId(),
        entity_type: z.string(),
        entity_id: z.string(),
        action_type: z.string(),
        committed_at: time(),
      })
      .nullable(),
    gaps: z.array(
      z.object({
        id: z.int(),
        entity_type: z.string().nullable(),
        table: z.string().nullable(),
        reason: z.string(),
        code: z.string().nullable(),
        mend: z.string().nullable().meta({ description: 'How to fix it. Null once it has ended.' }),
        detail: z.string(),
        from_lsn: lsnSchema.nullable(),
        to_lsn: lsnSchema.nullable(),
        found_at: time(),
        resynced_at: time().nullable(),
      }),
    ),
    resyncs: z
      .array(
        z.object({
          entity_type: z.string(),
          field: z.string().nullable(),
          state: z.enum(['waiting', 'running']),
          phase: z.enum(['rows', 'deletes']),
          rows_done: z.int(),
          rows_estimate: z.int().nullable(),
          deletes_done: z.int(),
          reason: z.string().nullable(),
          code: z.string().nullable(),
          mend: z.string().nullable(),
        }),
      )
      .meta({
        description:
          'Queued and running resyncs, and what each waits for. With `field`: the resync sends the entities that contain a changed row in that field, which were too many to send with the change.',
      }),
    mapping_lost: z
      .array(z.object({ what: z.string(), code: z.string(), mend: z.string() }))
      .nullable()
      .meta({
        description: 'Mapped tables and columns that were dropped. Null if the source does not respond.',
      }),
    mapping: z
      .object({
        file: z.string().nullable(),
        loaded_at: z.string(),
        refused: z
          .object({
            at: z.string(),
            reasons: z.array(
              z.object({ what: z.string(), found: z.string(), code: z.string(), mend: z.string() }),
            ),
          })
          .nullable(),
      })
      .optional()
      .meta({
        description:
          'The mapping of the process that answers this call: its file, when it took effect, and in `refused` why the last reload by SIGHUP failed. Null: it did not fail.',
      }),
    queue: z.object({
      deliveries_waiting: z.int(),
      deliveries_set_aside: z.int().meta({
        description:
          'Deliveries that failed, follow one that failed, were requested by hand, or are in a batch.',
      }),
      lanes_waiting: z
        .int()
        .meta({ description: 'Entities of a webhook with deliveries that are set aside.' }),
      deliveries_dead: z.int(),
      webhooks_behind: z.int().meta({ description: 'Webhooks with a backlog in the event log.' }),
      oldest_pending_ms: z.number().meta({
        description: 'The age of the oldest pending event of an active webhook. 0: none is pending.',
      }),
    }),
    cells: z
      .array(
        z.object({
          name: z.string(),
          state: z.enum(['ok', 'away']),
          reason: z.string().nullable().meta({ description: 'Why it does not respond. Null: it responds.' }),
          webhooks: z.int().nullable(),
          events_behind: z.int().nullable().meta({
            description: 'The lag of its copy of the log in events, counted up to 10,000.',
          }),
        }),
      )
      .optional()
      .meta({
        description:
          'The cells, `main` first. A cell that does not respond has null for its numbers, and `queue` leaves it out. Absent if main is the only cell.',
      }),
    ids_ahead_ms: z.number().meta({
      description:
        "How far the time in the newest event's id is in the future, because a clock was ahead. 0: not at all.",
    }),
  })
  .meta({ id: 'Status' })

export const statusRoutes = [
  route({
    method: 'get',
    path: '/api/status',
    id: 'getStatus',
    tag: 'Status',
    summary: 'Reads the status of walhook',
    description: 'Capture state, positions, lag, gaps and pending deliveries, all at one moment.',
    role: 'viewer',
    answer: { status: 200, what: 'The status', schema: statusSchema },
    async handle({ control }) {
      return { ok: true, value: statusJson(await readStatus(control)) }
    },
  }),
]

function codeOf({ entityType, resyncedAt }: Gap) {
  if (resyncedAt !== null) return { code: null, mend: null }
  if (entityType === null) return { code: 'capture.changes_lost', mend: mendOf('capture.changes_lost') }
  return { code: 'capture.table_gap', mend: `run: walhook resync --entity ${entityType}` }
}

const mappingLostCode = 'capture.mapping_lost'

const lsn = (value: Lsn | null | undefined) =>
  value === null || value === undefined ? null : formatLsn(value)

function mappingJson({ file, loadedAtMs, refused }: NonNullable<Status['mapping']>) {
  return {
    file,
    loaded_at: new Date(loadedAtMs).toISOString(),
    refused: refused && {
      at: new Date(refused.atMs).toISOString(),
      reasons: refused.problems.map(({ what, found, code, mend }) => ({ what, found, code, mend })),
    },
  }
}

function statusJson(status: Status): z.input<typeof statusSchema> {
  const { capture, position, lastEvent, gaps, resyncs, mapping, mappingLost, queue, cells, idsAheadMs } =
    status
  const { source } = capture
  return {
    capture: {
      state: capture.state,
      reason: capture.reason,
      code: capture.code ?? null,
      mend: capture.mend ?? null,
      slot: capture.slotName,
      commit_lsn: lsn(position?.commitLsn),
      confirmed_lsn: lsn(source?.confirmedLsn),
      wal_end: lsn(source?.walEnd),
      lag_bytes: lagBytes(status),
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
      entity_type: gap.entityType,
      table: gap.tableName,
      reason: gap.reason,
      ...codeOf(gap),
      detail: gap.detail,
      from_lsn: lsn(gap.fromLsn),
      to_lsn: lsn(gap.toLsn),
      found_at: gap.foundAt.toISOString(),
      resynced_at: gap.resyncedAt?.toISOString() ?? null,
    })),
    resyncs: resyncs.map(resync => ({
      entity_type: resync.entityType,
      field: resync.fanOut?.field ?? null,
      state: resync.state === 'waiting' ? 'waiting' : 'running',
      phase: resync.phase,
      rows_done: resync.rowsDone,
      rows_estimate: resync.rowsEstimate,
      deletes_done: resync.deletesDone,
      reason: resync.reason,
      code: resync.code,
      mend: resync.code && pageMendOf(resync.code),
    })),
    mapping_lost:
      mappingLost?.map(what => ({ what, code: mappingLostCode, mend: mendOf(mappingLostCode) })) ?? null,
    ...(mapping && { mapping: mappingJson(mapping) }),
    queue: {
      deliveries_waiting: queue.deliveries,
      deliveries_set_aside: queue.setAside,
      lanes_waiting: queue.lanes,
      deliveries_dead: queue.deadDeliveries,
      webhooks_behind: queue.streamsBehind,
      oldest_pending_ms: queue.oldestPendingMs,
    },
    ...(cells.length > 1 && { cells: cells.map(cellJson) }),
    ids_ahead_ms: idsAheadMs,
  }
}

const cellJson = ({ name, isAway, why, webhooks, behind }: Status['cells'][number]) => ({
  name,
  state: isAway ? ('away' as const) : ('ok' as const),
  reason: why,
  webhooks,
  events_behind: behind,
})
