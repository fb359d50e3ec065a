import type { CaptureCode } from '../../domain/capture/capture-code.ts'
import { formatLsn } from '../../domain/value/lsn.ts'
import { formatProblem, type Problem } from '../../domain/value/problem.ts'
import type { Gap } from '../../outbox/source/gaps.ts'

/**
 * What capture is doing, and why where there is a reason.
 *
 *   starting     making, checking or connecting; `reason` is what ended the time before. Ends in any other state. A
 *                database that is lost for longer has a code.
 *   standing by  another process reads the slot; asks again every second or two. Ends when that process ends.
 *   streaming    reads the slot and stores what comes.
 *   lagging      streaming, but what is stored is more than half a minute behind, or the rows of a partition that came have
 *                waited so long to be read. Ends when it has caught up.
 *   blocked      a person must do something first: in the source, or about a place in the WAL that can't be read or stored
 *                however often it is tried. `reason` says what, and how. Tries again every few seconds.
 *   gap          streaming, but changes of a table were lost, and a gap is recorded; `reason` names it. Ends with
 *                `walhook resync --entity`.
 *   lost         changes can't be captured any more, and a gap is recorded. Ends with `walhook resync`.
 *
 * Only streaming, lagging and standing by are healthy.
 */
export type CaptureState = (
  | { readonly state: 'starting'; readonly reason: string | null }
  | { readonly state: 'standing by' | 'streaming'; readonly reason: null }
  | { readonly state: 'lagging' | 'gap' | 'blocked' | 'lost'; readonly reason: string }
) & {
  /** What a person can do, where there is something, by a code. */
  readonly code?: CaptureCode
  readonly mend?: string
}

/** Thrown where a person must mend something in the source before capture can go on. */
export class CaptureBlocked extends Error {
  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'))
  }
}

/** Thrown where changes are lost. */
export class CaptureLost extends Error {
  constructor({ reason, detail }: { reason: string; detail: string }) {
    super(`${reason}: ${detail}. To go on, run: walhook resync`)
  }
}

const mostNamed = 5

/** What was lost of single tables, in words, and how to mend it. */
export function describeTableGaps(open: readonly Gap[]): string {
  const named = open.slice(0, mostNamed).map(({ entityType, tableName, reason, fromLsn, toLsn }) => {
    const until = toLsn === null ? 'and are lost still' : `to ${formatLsn(toLsn)}`
    return `changes of ${tableName} were lost (${reason}) from ${formatLsn(fromLsn)} ${until}; to tell each ${entityType} anew, run: walhook resync --entity ${entityType}`
  })
  const more = open.length > mostNamed ? ` and ${open.length - mostNamed} more` : ''
  return `${named.join('. ')}${more}`
}
