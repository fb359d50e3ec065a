import { because, type Reason, reasonInEnglish } from '../../domain/shown/reason.ts'

/** A problem of one input field. `pointer` is a JSON Pointer (RFC 6901) to it, `detail` the reason in English. */
export type FieldProblem = { readonly pointer: string; readonly detail: string; readonly reason: Reason }

/** Why an operation failed. It changed nothing. */
export type Failed =
  | { readonly ok: false; readonly kind: 'not_found'; readonly detail: string }
  /** The caller's role does not permit this part of the operation. */
  | { readonly ok: false; readonly kind: 'forbidden'; readonly detail: string; readonly reason: Reason }
  | { readonly ok: false; readonly kind: 'conflict'; readonly detail: string; readonly reason: Reason }
  | { readonly ok: false; readonly kind: 'stale'; readonly detail: string }
  /** The caller may try again later. */
  | { readonly ok: false; readonly kind: 'busy'; readonly detail: string; readonly retryAfterS: number }
  /** The source, or a cell, is unavailable. */
  | {
      readonly ok: false
      readonly kind: 'unavailable'
      readonly detail: string
      readonly reason: Reason
      readonly retryAfterS: number
    }
  | { readonly ok: false; readonly kind: 'invalid'; readonly problems: readonly FieldProblem[] }

export type Result<T> = { readonly ok: true; readonly value: T } | Failed

export function notFound(what: string, id: number | string): Failed {
  return { ok: false, kind: 'not_found', detail: `There is no ${what} ${id}.` }
}

export function forbidden(reason: Reason): Failed {
  return { ok: false, kind: 'forbidden', detail: reasonInEnglish(reason), reason }
}

/** The request does not fit the present state. */
export function conflict(reason: Reason): Failed {
  return { ok: false, kind: 'conflict', detail: reasonInEnglish(reason), reason }
}

/** A database does not answer: the caller may try again after `retryAfterS`. */
export function unavailable(reason: Reason, retryAfterS = 10): Failed {
  return { ok: false, kind: 'unavailable', detail: reasonInEnglish(reason), reason, retryAfterS }
}

/** The source's tables are needed and unavailable. */
export const sourceUnavailable: Failed = unavailable(because('source.away'))

/** Another caller changed the object meanwhile. */
export function stale(what: string, id: number | string): Failed {
  return {
    ok: false,
    kind: 'stale',
    detail: `The ${what} ${id} has changed since you read it. walhook changed nothing. Read it again, then repeat your change with its new ETag.`,
  }
}

export function wrongField(pointer: string, reason: Reason): FieldProblem {
  return { pointer, detail: reasonInEnglish(reason), reason }
}

export function invalid(...problems: readonly FieldProblem[]): Failed {
  return { ok: false, kind: 'invalid', problems }
}
