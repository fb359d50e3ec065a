import type { CaptureCode } from './capture-code.ts'

/** What ended a capture session. `position`: the last stored transaction, which shows whether there was progress. */
export type CaptureFailure = {
  readonly kind: 'source lost' | 'outbox lost' | 'setup' | 'timeout' | 'read' | 'store'
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
  setup: 'capture.database_setup',
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
  const isOutage = row.kind === 'source lost' || row.kind === 'outbox lost' || row.kind === 'setup'
  const isAccident = row.count < maxTries && (!isOutage || nowMs - row.sinceMs < patienceMs)
  return isAccident ? null : { code: codes[row.kind], isBlocked: !isOutage }
}

/** What an error of a database says: it is lost, its setup refuses the work, or a timeout or conflict ended the work. */
export type ErrorKind = 'lost' | 'setup' | 'timeout'

/**
 * The SQLSTATEs whose cause lies outside the changes: none may be skipped. A code comes before its class; every other one may
 * be the fault of a change. https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const kindsOfStates: Readonly<Record<string, ErrorKind>> = {
  '08': 'lost', // connection exception
  '0P': 'setup', // invalid role
  '25006': 'lost', // read-only transaction: another server is the primary
  '25P03': 'timeout', // idle in transaction
  '25P04': 'timeout', // transaction timeout
  '26': 'setup', // a pooler shares sessions: prepared statements are missing
  '28': 'lost', // the role may not log in, or its password is being rotated
  '3D': 'lost', // the database is missing or renamed
  '3F': 'setup', // a schema is missing
  '40': 'timeout', // deadlock, serialization failure
  '42501': 'setup', // privilege, row-level security
  '42703': 'setup', // a column is missing
  '42809': 'setup', // a view or another object in the place of a table
  '42883': 'setup', // a function is missing
  '42P01': 'setup', // a table is missing
  '53': 'lost', // disk, memory, connections
  '55': 'lost', // not in the state for it, in use
  '55P03': 'timeout', // lock timeout
  '57': 'lost', // shutdown, start
  '57014': 'timeout', // statement timeout, cancel
  '57P05': 'timeout', // idle session
  '58000': 'setup', // system error
  '58030': 'setup', // input or output error
  F0: 'setup', // configuration file
  XX002: 'setup', // damaged index
}
const lostCodes = /^(E(CONN|PIPE|TIMEDOUT|NOTFOUND|AI_AGAIN|HOST|NET)|CERT_|DEPTH_)/
const lostMessages =
  /connection terminated|connection timeout|timeout exceeded when trying to connect|client was closed|socket|server has ended the stream|link is dead|not queryable/i

/** Classifies a database error; null: a change may be its cause. */
export function kindOfError(error: { readonly code?: unknown; readonly message?: string }): ErrorKind | null {
  const code = typeof error.code === 'string' ? error.code : ''
  if (lostCodes.test(code)) return 'lost'
  if (code.length === 5) return kindsOfStates[code] ?? kindsOfStates[code.slice(0, 2)] ?? null
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
