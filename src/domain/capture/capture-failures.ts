import type { CaptureCode } from './capture-code.ts'

/** What ended a time of capturing. `place`: the last stored transaction, by which it is seen whether anything went on. */
export type CaptureFailure = {
  readonly kind: 'source lost' | 'outbox lost' | 'timeout' | 'read' | 'store'
  readonly reason: string
  readonly place: string
}

/** A row of the same failures at the same place. */
export type FailureRow = CaptureFailure & { readonly count: number; readonly sinceMs: number }

/** So many failures of one kind at one place are no accident. */
const mostTries = 3
/** What is lost and comes back by itself is told of by its code from then on. */
const patienceMs = 30_000

/** Adds a failure to the row that it belongs to, or begins another. */
export function addFailure(row: FailureRow | null, failure: CaptureFailure, nowMs: number): FailureRow {
  const goesOn = row !== null && row.kind === failure.kind && row.place === failure.place
  return goesOn
    ? { ...failure, count: row.count + 1, sinceMs: row.sinceMs }
    : { ...failure, count: 1, sinceMs: nowMs }
}

const codes = {
  'source lost': 'capture.source_unavailable',
  'outbox lost': 'capture.outbox_unavailable',
  timeout: 'capture.timed_out',
  read: 'capture.cannot_read',
  store: 'capture.cannot_store',
} as const satisfies Record<CaptureFailure['kind'], CaptureCode>

/**
 * What a row of failures means: it is tried again whatever it is, but one that is no accident any more has a code. `isBlocked`:
 * it is not waited for anything that comes back by itself.
 */
export function judgeFailures(
  row: FailureRow,
  nowMs: number,
): { code: CaptureCode; isBlocked: boolean } | null {
  const isOutage = row.kind === 'source lost' || row.kind === 'outbox lost'
  const isAccident = row.count < mostTries && (!isOutage || nowMs - row.sinceMs < patienceMs)
  return isAccident ? null : { code: codes[row.kind], isBlocked: !isOutage }
}

const timeouts = new Set(['57014', '25P03', '25P04', '57P05', '55P03'])
/** The server has become a standby: another one is the primary. */
const readOnlyTransaction = '25006'
const lostClasses = new Set(['08', '53', '57', '55'])
const lostCodes = /^(E(CONN|PIPE|TIMEDOUT|NOTFOUND|AI_AGAIN|HOST|NET)|CERT_|DEPTH_)/
const lostMessages =
  /connection terminated|connection timeout|timeout exceeded when trying to connect|client was closed|socket|server has ended the stream|link is dead|not queryable/i

/** What an error of a database says by its code: that it or its link is gone for now, that time ran out, or neither. */
export function kindOfError(error: {
  readonly code?: unknown
  readonly message?: string
}): 'lost' | 'timeout' | null {
  const code = typeof error.code === 'string' ? error.code : ''
  if (timeouts.has(code)) return 'timeout'
  if (code === readOnlyTransaction) return 'lost'
  if (lostCodes.test(code) || (code.length === 5 && lostClasses.has(code.slice(0, 2)))) return 'lost'
  return code === '' && lostMessages.test(error.message ?? '') ? 'lost' : null
}

/** Whether a connection ended that was there, or the server is starting or stopping. node-postgres has no code for what follows. */
export function isCutOff(error: Error & { code?: string }): boolean {
  return (
    isStartingOrStopping(error) ||
    /^(ECONNRESET|EPIPE)$/.test(error.code ?? '') ||
    /is not queryable|^Connection terminated( unexpectedly)?$/.test(error.message)
  )
}

/** Whether a Postgres says that it is starting or stopping. https://www.postgresql.org/docs/current/errcodes-appendix.html, 57P01 to 57P03 */
export function isStartingOrStopping({ code = '' }: Error & { code?: string }): boolean {
  return /^57P0[123]$/.test(code)
}
