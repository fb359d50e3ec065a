import { createHash } from 'node:crypto'
import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Control } from '../../control/kit/control.ts'
import { once } from '../../control/kit/once.ts'
import type { Failed } from '../../control/kit/result.ts'
import { failed, problem } from './problem.ts'
import type { ApiEnv } from './route.ts'

/** A successful response, kept for repetitions. */
export type Written = {
  readonly status: ContentfulStatusCode | 204
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
}

/**
 * Executes a POST once per `Idempotency-Key`; a repetition within 24 hours gets the first response. A failed call may be
 * repeated with the same key. Without the header, every call is executed.
 * https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */
export async function idempotent(
  c: Context<ApiEnv>,
  control: Control,
  work: () => Promise<Failed | { ok: true; written: Written }>,
): Promise<Response> {
  const key = c.req.header('idempotency-key')
  if (key === undefined) {
    const done = await work()
    return done.ok ? send(c, done.written) : failed(c, done)
  }
  if (!/^[!-~]{1,255}$/.test(key))
    return problem(
      c,
      422,
      'Idempotency-Key: must be 1 to 255 visible ASCII characters, new for each operation.',
    )

  const { pathname, search } = new URL(c.req.url)
  const hash = createHash('sha256')
    .update(JSON.stringify([pathname, search, await c.req.text()]))
    .digest()
  const result = await once(control, c.get('caller'), { key, hash }, async () => {
    const done = await work()
    return done.ok ? { ok: true, value: JSON.stringify(done.written) } : done
  })
  switch (result.state) {
    case 'done':
      if (result.isReplay) c.header('idempotent-replayed', 'true')
      return send(c, JSON.parse(result.response))
    case 'other_request':
      return problem(
        c,
        422,
        'Idempotency-Key: was used for another request. Use a new key for each operation, and the same key only to retry it.',
      )
    case 'failed':
      if (result.mayEnd) c.header('retry-after', '1')
      return failed(c, result.failure)
    default:
      return result satisfies never
  }
}

export function send(c: Context, { status, headers, body }: Written): Response {
  for (const [name, value] of Object.entries(headers)) c.header(name, value)
  if (status === 204 || body === null) return c.body(null, status)
  return c.body(body, status, { 'content-type': 'application/json' })
}
