import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { z } from 'zod'
import type { Failed } from '../../control/kit/result.ts'

const titles: Record<number, string> = {
  400: 'Invalid JSON',
  401: 'Valid token required',
  403: 'Role not sufficient',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict with the current state',
  412: 'Changed meanwhile',
  413: 'Request too large',
  422: 'Invalid fields',
  429: 'Too many requests',
  500: 'walhook failed',
  503: 'Not available now',
}

/** https://www.rfc-editor.org/rfc/rfc9457 */
export const problemSchema = z
  .object({
    type: z.literal('about:blank'),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: 'What is wrong and what to do, in a sentence.' }),
    code: z.string().optional().meta({ description: 'The reason, for programs. A code keeps its meaning.' }),
    errors: z
      .array(
        z
          .object({
            pointer: z.string().meta({ description: 'A JSON Pointer to the wrong field.' }),
            detail: z.string(),
            code: z.string().optional(),
          })
          .meta({ id: 'WrongField' }),
      )
      .optional(),
  })
  .meta({ id: 'Problem', description: 'Why a call failed. It changed nothing.' })

type WrongField = { readonly pointer: string; readonly detail: string; readonly code?: string }

export function problem(
  c: Context,
  status: ContentfulStatusCode,
  detail: string,
  { code, errors = [] }: { code?: string; errors?: readonly WrongField[] } = {},
): Response {
  const body: z.input<typeof problemSchema> = {
    type: 'about:blank',
    title: titles[status] ?? 'Error',
    status,
    detail,
    ...(code !== undefined && { code }),
    ...(errors.length > 0 && { errors: [...errors] }),
  }
  return c.body(JSON.stringify(body), status, { 'content-type': 'application/problem+json' })
}

/** The 404 for anything missing or hidden from the caller. */
export function nothingAt(c: Context): Response {
  return problem(c, 404, `There is nothing at ${c.req.method} ${c.req.path}.`)
}

export function failed(c: Context, failure: Failed): Response {
  switch (failure.kind) {
    case 'not_found':
      return problem(c, 404, failure.detail)
    case 'forbidden':
      return problem(c, 403, failure.detail, failure.reason)
    case 'conflict':
      return problem(c, 409, failure.detail, failure.reason)
    case 'stale':
      return problem(c, 412, failure.detail)
    case 'busy':
      c.header('retry-after', String(failure.retryAfterS))
      return problem(c, 429, failure.detail)
    case 'unavailable':
      c.header('retry-after', String(failure.retryAfterS))
      return problem(c, 503, failure.detail, failure.reason)
    case 'invalid':
      return problem(c, 422, failure.problems.map(({ detail }) => detail).join(' '), {
        errors: failure.problems.map(({ pointer, detail, reason: { code } }) => ({ pointer, detail, code })),
      })
    default:
      return failure satisfies never
  }
}
