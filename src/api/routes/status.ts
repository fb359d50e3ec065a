import { z } from 'zod'
import type { Gap } from '../../control/status/status.ts'
import { lagBytes, readStatus, type Status } from '../../control/status/status.ts'
import { mendOf } from '../../domain/capture/capture-code.ts'
import { lostSentence } from '../../domain/capture/lost-texts.ts'
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
    response: { status: 200, what: 'The status', schema: statusSchema },
    async handle({ control }) {
      return { ok: true, value: shown(await readStatus(control)) }
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

const shownMapping = ({ file, loadedAtMs, refused }: NonNullable<Status['mapping']>) => ({
  file,
  loadedAt: new Date(loadedAtMs),
  refused: refused && { at: new Date(refused.atMs), reasons: refused.problems },
})

function shown(status: Status) {
  const { capture, position, gaps, resyncs, mapping, mappingLost, queue, cells } = status
  const { source } = capture
  return {
    ...status,
    capture: {
      ...capture,
      code: capture.code ?? null,
      mend: capture.mend ?? null,
      slot: capture.slotName,
      commitLsn: lsn(position?.commitLsn),
      confirmedLsn: lsn(source?.confirmedLsn),
      walEnd: lsn(source?.walEnd),
      lagBytes: lagBytes(status),
      heldBackBytes: source?.heldBackBytes ?? null,
    },
    gaps: gaps.map(gap => ({
      ...gap,
      ...codeOf(gap),
      table: gap.tableName,
      fromLsn: lsn(gap.fromLsn),
      toLsn: lsn(gap.toLsn),
    })),
    resyncs: resyncs.map(resync => ({
      ...resync,
      field: resync.fanOut?.field ?? null,
      state: resync.state === 'waiting' ? ('waiting' as const) : ('running' as const),
      mend: resync.code && pageMendOf(resync.code),
    })),
    mappingLost:
      mappingLost?.map(lost => ({
        what: lostSentence(lost),
        code: mappingLostCode,
        mend: mendOf(mappingLostCode),
      })) ?? null,
    mapping: mapping ? shownMapping(mapping) : undefined,
    queue: {
      deliveriesWaiting: queue.deliveries,
      deliveriesSetAside: queue.setAside,
      lanesWaiting: queue.lanes,
      deliveriesDead: queue.deadDeliveries,
      webhooksBehind: queue.streamsBehind,
      oldestPendingMs: queue.oldestPendingMs,
    },
    cells: cells.length > 1 ? cells.map(shownCell) : undefined,
  }
}

const shownCell = ({ isAway, why, behind, ...cell }: Status['cells'][number]) => ({
  ...cell,
  state: isAway ? ('away' as const) : ('ok' as const),
  reason: why,
  eventsBehind: behind,
})
