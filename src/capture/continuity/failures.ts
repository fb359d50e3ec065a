import { type CaptureCode, mendOf } from '../../domain/capture/capture-code.ts'
import {
  addFailure,
  type FailureRow,
  judgeFailures,
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

const answerMs = 3_000
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
    return await within(answerMs, pool.query('select')).then(
      () => true,
      () => false,
    )
  }

  async function kindOf(error: unknown): Promise<FailureRow['kind']> {
    const { code, message } = error as { code?: unknown; message?: string }
    const kind = kindOfError({ code, ...(message !== undefined && { message }) })
    if (kind === 'timeout') return kind
    if (kind === null && !(error instanceof PositionMoved)) return isOfStoring(error) ? 'store' : 'read'
    if (!(await isUp(source))) return 'source lost'
    if (!(await isUp(outbox))) return 'outbox lost'
    return isOfStoring(error) ? 'outbox lost' : 'source lost'
  }

  async function place(): Promise<string> {
    const position = await within(answerMs, readPosition(outbox, slotName)).catch(() => null)
    return position ? formatLsn(position.commitLsn) : 'unknown'
  }

  /** `ranMs`: how long it had been streaming. */
  return async (error: unknown, ranMs: number): Promise<CaptureState> => {
    const reason = describeError(error)
    const withCode = (code: CaptureCode) => ({ code, mend: mendOf(code) })
    if (error instanceof CaptureBlocked)
      return { state: 'blocked', reason, ...withCode('capture.source_problem') }
    if (error instanceof CaptureLost) return { state: 'lost', reason, ...withCode('capture.changes_lost') }
    if (error instanceof CaptureFailure) return stateAt('blocked', reason, await place(), error.code)
    if (ranMs > steadyMs) row = null
    row = addFailure(row, { kind: await kindOf(error), reason, place: await place() }, nowMs())
    const verdict = judgeFailures(row, nowMs())
    if (!verdict) return { state: 'starting', reason }
    return stateAt(verdict.isBlocked ? 'blocked' : 'starting', reason, row.place, verdict.code)
  }
}

const ofPlaces: ReadonlySet<CaptureCode | undefined> = new Set<CaptureCode>([
  'capture.cannot_read',
  'capture.cannot_store',
  'capture.unasked_message',
  'capture.timed_out',
])

/** Whether a state is about one place in the WAL, and ends once capture passes it. */
export const isOfAPlace = ({ code }: CaptureState): boolean => ofPlaces.has(code)

function stateAt(
  state: 'blocked' | 'starting',
  reason: string,
  place: string,
  code: CaptureCode,
): CaptureState {
  const mend = mendOf(code)
  return { state, reason: `${code}, after ${place}: ${reason}. Fix: ${mend}`, code, mend }
}
