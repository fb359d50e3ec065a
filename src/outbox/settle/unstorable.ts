import pg from 'pg'
import type { Attempt } from '../../domain/delivery/attempt.ts'
import type { Settlement } from './settle.ts'

/** Error classes caused by the row itself. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const dataExceptions = '22'
const integrityViolations = '23'
const limitsExceeded = '54'

/**
 * Whether the data made a statement fail permanently. A missing partition violates a check too, but without a constraint's
 * name: it will be created.
 */
export function isOfData(error: unknown): boolean {
  if (error instanceof RangeError || error instanceof TypeError) return true
  if (!(error instanceof pg.DatabaseError)) return false
  const kind = error.code?.slice(0, 2)
  return kind === integrityViolations
    ? error.constraint !== undefined
    : kind === dataExceptions || kind === limitsExceeded
}

/** A storable settlement: the attempt without the receiver's response, and with the reason. */
export function withoutResponse(settlement: Settlement, error: unknown): Settlement {
  const code = error instanceof pg.DatabaseError ? error.code : (error as Error).name
  const note = `(walhook could not store this answer: ${code})`
  const { attempt } = settlement
  const bare: Attempt = {
    ...attempt,
    phases: {},
    remoteAddress: null,
    request: { ...attempt.request, headers: {} },
    response: attempt.response && { ...attempt.response, headers: {}, body: note, truncated: true },
    errorMessage: attempt.errorMessage === null ? null : note,
  }
  return { ...settlement, attempt: bare }
}
