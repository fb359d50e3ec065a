import { type CaptureCode, mendOf } from '../../domain/capture/capture-code.ts'
import {
  addFailure,
  classifyFailures,
  type FailureRow,
  kindOfError,
} from '../../domain/capture/capture-failures.ts'
import { formatLsn } from '../../domain/value/lsn.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { PositionMoved } from '../../outbox/log/append.ts'
import { readPosition } from '../../outbox/log/position.ts'
import { describeError } from '../../runtime/log.ts'
import { within } from '../../runtime/within.ts'
import type { Source } from '../source/source.ts'
import { CaptureFailure, isOfStoring } from './failure.ts'
import { CaptureBlocked, CaptureLost, type CaptureState } from './state.ts'

const responseTimeoutMs = 3_000
/** After this long, capture was healthy: its end is a new failure. */
const steadyMs = 60_000

/**
 * Creates the function that gives capture's state after an error. Everything is retried for ever; repeated failures at one
 * place get a code and a fix.
 */
export function createFailures({
  source,
  outbox,
  slotName,
  nowMs,
}: {
  source: Source
  outbox: Outbox
  slotName: string
  nowMs: () => number
}) {
  let row: FailureRow | null = null

  async function isUp({ pool }: { pool: { query(text: string): Promise<unknown> } }): Promise<boolean> {
    return await within(responseTimeoutMs, pool.query('select')).then(
      () => true,
      () => false,
    )
  }

  async function kindOf(error: unknown): Promise<FailureRow['kind']> {
    const { code, message } = error as { code?: unknown; message?: string }
    const kind = kindOfError({ code, ...(message !== undefined && { message }) })
    if (kind === 'timeout' || kind === 'setup') return kind
    if (kind === null && !(error instanceof PositionMoved)) return isOfStoring(error) ? 'store' : 'read'
    if (!(await isUp(source))) return 'source lost'
    if (!(await isUp(outbox))) return 'outbox lost'
    return isOfStoring(error) ? 'outbox lost' : 'source lost'
  }

  async function positionText(): Promise<string> {
    const stored = await within(responseTimeoutMs, readPosition(outbox, slotName)).catch(() => null)
    return stored ? formatLsn(stored.commitLsn) : 'unknown'
  }

  /** `ranMs`: how long it had been streaming. */
  return async (error: unknown, ranMs: number): Promise<CaptureState> => {
    const reason = describeError(error)
    const withCode = (code: CaptureCode) => ({ code, mend: mendOf(code) })
    if (error instanceof CaptureBlocked)
      return { state: 'blocked', reason, ...withCode('capture.source_problem') }
    if (error instanceof CaptureLost) return { state: 'lost', reason, ...withCode('capture.changes_lost') }
    if (error instanceof CaptureFailure) return stateAt('blocked', reason, await positionText(), error.code)
    if (ranMs > steadyMs) row = null
    row = addFailure(row, { kind: await kindOf(error), reason, position: await positionText() }, nowMs())
    const verdict = classifyFailures(row, nowMs())
    if (!verdict) return { state: 'starting', reason }
    return stateAt(verdict.isBlocked ? 'blocked' : 'starting', reason, row.position, verdict.code)
  }
}

const ofPositions: ReadonlySet<CaptureCode | undefined> = new Set<CaptureCode>([
  'capture.cannot_read',
  'capture.cannot_store',
  'capture.unasked_message',
  'capture.timed_out',
  'capture.database_setup',
])

/** Whether a state is about one position in the WAL, and ends once capture passes it. */
export const isOfAPosition = ({ code }: CaptureState): boolean => ofPositions.has(code)

function stateAt(
  state: 'blocked' | 'starting',
  reason: string,
  position: string,
  code: CaptureCode,
): CaptureState {
  const mend = mendOf(code)
  return { state, reason: `${code}, after ${position}: ${reason}. Fix: ${mend}`, code, mend }
}
