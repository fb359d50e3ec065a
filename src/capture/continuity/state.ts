import type { CaptureCode } from '../../domain/capture/capture-code.ts'
import { formatLsn } from '../../domain/value/lsn.ts'
import { formatProblem, type Problem } from '../../domain/value/problem.ts'
import type { Gap } from '../../outbox/source/gaps.ts'

/**
 * The state of capture, with a reason if there is one.
 *
 *   starting     creating, checking or connecting; `reason` ended the last session. A database that stays lost has a code.
 *   standing by  another process reads the slot; asks every second or two until that process ends.
 *   streaming    reads the slot and stores its changes.
 *   lagging      streaming, but more than half a minute behind, or the rows of a new partition wait for as long. Ends when it
 *                has caught up.
 *   blocked      a person must fix the source, or a place in the WAL that can't be read or stored. `reason` says what, and how.
 *                Retries every few seconds.
 *   gap          streaming, but changes of a table were lost; `reason` names it. Ends with `walhook resync --entity`.
 *   lost         changes can't be captured any more. Ends with `walhook resync`.
 *
 * Only streaming, lagging and standing by are healthy.
 */
export type CaptureState = (
  | { readonly state: 'starting'; readonly reason: string | null }
  | { readonly state: 'standing by' | 'streaming'; readonly reason: null }
  | { readonly state: 'lagging' | 'gap' | 'blocked' | 'lost'; readonly reason: string }
) & {
  /** A code with a fix, if there is one. */
  readonly code?: CaptureCode
  readonly mend?: string
}

/** Thrown if a person must fix the source first. */
export class CaptureBlocked extends Error {
  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'))
  }
}

/** Thrown if changes are lost. */
export class CaptureLost extends Error {
  constructor({ reason, detail }: { reason: string; detail: string }) {
    super(`${reason}: ${detail}. Fix: run: walhook resync`)
  }
}

const maxNamed = 5

/** The losses of single tables in words, with the fix. */
export function describeTableGaps(open: readonly Gap[]): string {
  const named = open.slice(0, maxNamed).map(({ entityType, tableName, reason, fromLsn, toLsn }) => {
    const until = toLsn === null ? 'on' : `to ${formatLsn(toLsn)}`
    return `changes of ${tableName} were lost (${reason}) from ${formatLsn(fromLsn)} ${until}; to send each ${entityType} again, run: walhook resync --entity ${entityType}`
  })
  const more = open.length > maxNamed ? ` and ${open.length - maxNamed} more` : ''
  return `${named.join('. ')}${more}`
}
