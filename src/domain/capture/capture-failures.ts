import type { CaptureCode } from './capture-code.ts'

/** What ended a capture session. `position`: the last stored transaction, which shows whether there was progress. */
export type CaptureFailure = {
  readonly kind: 'source lost' | 'outbox lost' | 'timeout' | 'read' | 'store'
  readonly reason: string
  readonly position: string
}

/** Consecutive failures of one kind at one position. */
export type FailureRow = CaptureFailure & { readonly count: number; readonly sinceMs: number }

/** This many failures of one kind at one position are no accident. */
const maxTries = 3
/** Lost connections that recover by themselves are reported after this long. */
const patienceMs = 30_000

/** Adds a failure to its series, or begins a new one. */
export function addFailure(row: FailureRow | null, failure: CaptureFailure, nowMs: number): FailureRow {
  const goesOn = row !== null && row.kind === failure.kind && row.position === failure.position
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
 * What a series of failures means. Capture always retries; a code says that it is no accident. `isBlocked`: no retry can
 * help.
 */
export function classifyFailures(
  row: FailureRow,
  nowMs: number,
): { code: CaptureCode; isBlocked: boolean } | null {
  const isOutage = row.kind === 'source lost' || row.kind === 'outbox lost'
  const isAccident = row.count < maxTries && (!isOutage || nowMs - row.sinceMs < patienceMs)
  return isAccident ? null : { code: codes[row.kind], isBlocked: !isOutage }
}

const timeouts = new Set(['57014', '25P03', '25P04', '57P05', '55P03'])
/** The server has become a standby: another one is the primary. */
const readOnlyTransaction = '25006'
/** A role's password is being rotated, or it may not log in: no change is the cause, and none may be skipped. */
const noLogin = '28'
const lostClasses = new Set(['08', '53', '57', '55', noLogin])
const lostCodes = /^(E(CONN|PIPE|TIMEDOUT|NOTFOUND|AI_AGAIN|HOST|NET)|CERT_|DEPTH_)/
const lostMessages =
  /connection terminated|connection timeout|timeout exceeded when trying to connect|client was closed|socket|server has ended the stream|link is dead|not queryable/i

/** Classifies a database error: connection lost, timeout, or neither. */
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

/** Whether the connection was lost, or the server is unavailable. node-postgres has no code for these messages. */
export function isCutOff(error: Error & { code?: string }): boolean {
  return (
    isUnavailable(error) ||
    /^(ECONNRESET|EPIPE)$/.test(error.code ?? '') ||
    /is not queryable|^Connection terminated( unexpectedly)?$/.test(error.message)
  )
}

/**
 * Whether Postgres is starting or stopping, or has no free connection: for the server, the database or the role.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html, 57P01 to 57P03 and 53300
 */
export function isUnavailable({ code = '' }: Error & { code?: string }): boolean {
  return /^(57P0[123]|53300)$/.test(code)
}
