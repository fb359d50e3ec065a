import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { z } from 'zod'
import type { Failed, FieldProblem } from '../control/result.ts'

const titles: Record<number, string> = {
  400: 'The request is not valid JSON',
  401: 'A valid token is needed',
  403: 'This token may not do that',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Not possible in this state',
  412: 'Changed in the meantime',
  413: 'The request is too large',
  422: 'Some fields are wrong',
  429: 'Too many requests',
  500: 'Something went wrong in walhook',
}

/** https://www.rfc-editor.org/rfc/rfc9457 */
export const problemSchema = z
  .object({
    type: z.literal('about:blank'),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: 'What is wrong and what to do, in a sentence.' }),
    errors: z
      .array(
        z.object({
          pointer: z.string().meta({ description: 'A JSON Pointer to the wrong field.' }),
          detail: z.string(),
        }),
      )
      .optional(),
  })
  .meta({ id: 'Problem', description: 'Why a call failed. Nothing was changed then.' })

/** An error as `application/problem+json`. */
export function problem(
  c: Context,
  status: ContentfulStatusCode,
  detail: string,
  errors: readonly FieldProblem[] = [],
): Response {
  const body: z.input<typeof problemSchema> = {
    type: 'about:blank',
    title: titles[status] ?? 'Error',
    status,
    detail,
    ...(errors.length > 0 && { errors: [...errors] }),
  }
  return c.body(JSON.stringify(body), status, { 'content-type': 'application/problem+json' })
}

/** The answer to an operation that failed. */
export function failed(c: Context, failure: Failed): Response {
  switch (failure.kind) {
    case 'not_found':
      return problem(c, 404, failure.detail)
    case 'forbidden':
      return problem(c, 403, failure.detail)
    case 'conflict':
      return problem(c, 409, failure.detail)
    case 'stale':
      return problem(c, 412, failure.detail)
    case 'busy':
      c.header('retry-after', String(failure.retryAfterS))
      return problem(c, 429, failure.detail)
    case 'invalid':
      return problem(c, 422, failure.problems.map(({ detail }) => detail).join(' '), failure.problems)
    default:
      return failure satisfies never
  }
}
