import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Failed, FieldProblem } from '../control/result.ts'

const titles: Record<number, string> = {
  400: 'The request is not valid JSON',
  401: 'A valid token is needed',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Not possible as things are now',
  413: 'The request is too large',
  415: 'The request must be JSON',
  422: 'Some fields are wrong',
  500: 'Something went wrong in walhook',
  503: 'walhook cannot do this now',
}

/** An error as `application/problem+json`. https://www.rfc-editor.org/rfc/rfc9457 */
export function problem(
  c: Context,
  status: ContentfulStatusCode,
  detail: string,
  errors: readonly FieldProblem[] = [],
): Response {
  const body = {
    type: 'about:blank',
    title: titles[status] ?? 'Error',
    status,
    detail,
    ...(errors.length > 0 && { errors }),
  }
  return c.body(JSON.stringify(body), status, { 'content-type': 'application/problem+json' })
}

/** The answer to an operation that failed. */
export function failed(c: Context, failure: Failed): Response {
  switch (failure.kind) {
    case 'not_found':
      return problem(c, 404, failure.detail)
    case 'conflict':
      return problem(c, 409, failure.detail)
    case 'invalid':
      return problem(c, 422, failure.problems.map(({ detail }) => detail).join(' '), failure.problems)
    default:
      return failure satisfies never
  }
}
