import { mendOf } from '../domain/capture/capture-code.ts'
import type { Gap } from '../outbox/source/gaps.ts'
import type { Log } from '../runtime/log.ts'
import { isOfAPosition } from './continuity/failures.ts'
import { type CaptureState, describeTableGaps } from './continuity/state.ts'
import type { Stored } from './store/storing.ts'
import { createProgress } from './stream/progress.ts'

const tableGap = 'capture.table_gap'

/** The state of capture: written by the streaming connection, read by pages, metrics and readiness. */
export type Status = {
  readonly log: Log
  readonly slotName: string
  readonly nowMs: () => number
  readonly progress: ReturnType<typeof createProgress>
  state: CaptureState
  openGaps: readonly Gap[]
  /** Unrequested work that is overdue. */
  readonly overdue: Map<string, string>
  /** The last probe that arrived, and its duration. */
  probe: string | null
  probeMs: number | null
  streamingSinceMs: number | null
}

export function openStatus(options: {
  log: Log
  slotName: string
  nowMs: () => number
  waitsFor?: (() => string | null) | undefined
}): Status {
  const { log, slotName, nowMs, waitsFor = () => null } = options
  return {
    ...{ log, slotName, nowMs },
    progress: createProgress({ nowMs, waitsFor }),
    state: { state: 'starting', reason: null },
    openGaps: [],
    overdue: new Map(),
    probe: null,
    probeMs: null,
    streamingSinceMs: null,
  }
}

/** Changes the state, and logs a change. */
export function enter(status: Status, next: CaptureState): void {
  const { state, log, slotName } = status
  if (next.state !== state.state || next.reason !== state.reason) {
    const { reason, ...rest } = next
    log[next.state === 'lost' ? 'error' : 'info']('capture.state', {
      ...rest,
      ...(reason !== null && { reason }),
      slot: slotName,
    })
  }
  status.state = next
}

/** A new connection. A problem with a code lasts until it is known to be fixed. */
export function enterStarting(status: Status): void {
  const { state } = status
  status.streamingSinceMs = null
  if (state.state !== 'starting' && state.code === undefined)
    enter(status, { state: 'starting', reason: state.reason })
}

/** The stream is open. A failure at a position lasts until something is stored. */
export function enterStreaming(status: Status): void {
  status.streamingSinceMs = status.nowMs()
  if (!isOfAPosition(status.state)) enter(status, { state: 'streaming', reason: null })
}

/** Capture has passed the failing position. */
function wentOn(status: Status): void {
  if (isOfAPosition(status.state)) enter(status, { state: 'streaming', reason: null })
}

export function noteProbe(status: Status, id: string): void {
  wentOn(status)
  status.probe = id
  if (/^\d+$/.test(id)) status.probeMs = status.nowMs() - Number(id)
}

export function noteStored(status: Status, stored: Stored): void {
  const { log } = status
  wentOn(status)
  status.progress.stored(stored.committedAt)
  for (const { entityType, entityId, actionType, reason } of stored.parked)
    log.error('capture.parked', {
      entity_type: entityType,
      entity_id: entityId,
      action_type: actionType,
      reason,
    })
  for (const table of stored.truncated)
    log.error('capture.truncated', {
      table,
      because:
        'the WAL does not name the rows: deletes are sent only where the mapping says on_truncate: delete',
    })
}

/** How long the last connection has been streaming. */
export function streamedMs({ streamingSinceMs, nowMs }: Status): number {
  return streamingSinceMs === null ? 0 : nowMs() - streamingSinceMs
}

/** The shown state: a stream may lag, or have gaps. */
export function currentState({ state, openGaps, progress, overdue }: Status): CaptureState {
  if (state.state !== 'streaming') return state
  if (openGaps.length > 0)
    return { state: 'gap', reason: describeTableGaps(openGaps), code: tableGap, mend: mendOf(tableGap) }
  const reason = progress.lag() ?? [...overdue.values()][0] ?? null
  return reason === null ? state : { state: 'lagging', reason }
}

/** Why nothing is stored although changes are pending, in words; null: all is well. */
export function currentStall({ state, progress }: Status): string | null {
  return state.state === 'streaming' ? progress.stall() : null
}
