/** What is wrong with one field of the input. `pointer` is a JSON Pointer (RFC 6901) to it. */
export type FieldProblem = { readonly pointer: string; readonly detail: string }

/** How an operation failed: nothing was changed then. */
export type Failed =
  | { readonly ok: false; readonly kind: 'not_found'; readonly detail: string }
  /** The caller's role does not allow this of what the operation can do. */
  | { readonly ok: false; readonly kind: 'forbidden'; readonly detail: string }
  | { readonly ok: false; readonly kind: 'conflict'; readonly detail: string }
  | { readonly ok: false; readonly kind: 'stale'; readonly detail: string }
  /** It may be asked for again after a while. */
  | { readonly ok: false; readonly kind: 'busy'; readonly detail: string; readonly retryAfterS: number }
  | { readonly ok: false; readonly kind: 'invalid'; readonly problems: readonly FieldProblem[] }

export type Result<T> = { readonly ok: true; readonly value: T } | Failed

export function notFound(what: string, id: number | string): Failed {
  return { ok: false, kind: 'not_found', detail: `There is no ${what} ${id}.` }
}

export function forbidden(detail: string): Failed {
  return { ok: false, kind: 'forbidden', detail }
}

/** What was asked for does not go with how things are now. `detail` says how they are, in a sentence. */
export function conflict(detail: string): Failed {
  return { ok: false, kind: 'conflict', detail }
}

/** The thing was changed since the caller has read it. */
export function stale(what: string, id: number | string): Failed {
  return {
    ok: false,
    kind: 'stale',
    detail: `The ${what} ${id} was changed since you have read it, so nothing was changed. Read it again, and send what you want with its new ETag.`,
  }
}

export function invalid(...problems: readonly FieldProblem[]): Failed {
  return { ok: false, kind: 'invalid', problems }
}
