import { getConnInfo } from '@hono/node-server/conninfo'
import type { Context, MiddlewareHandler } from 'hono'
import type { Authenticated } from '../control/authenticate.ts'
import { type Bucket, type RatePolicy, take } from '../domain/rate.ts'
import { problem } from './problem.ts'
import type { ApiEnv } from './route.ts'

/** For programs and pages alike far more than they need, and less than a loop without a pause. */
export const usualRate: RatePolicy = { quota: 3_000, windowS: 60 }

/**
 * Lets in who brings a valid token and has not called more often than `rate` allows. Every answer to a token says
 * what is left: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
 */
export function admit(options: {
  authenticate: (token: string, address: string) => Promise<Authenticated>
  rate: RatePolicy
  nowMs: () => number
}): MiddlewareHandler<ApiEnv> {
  const { rate } = options
  // One for each token that has called: as many as admins have made.
  const buckets = new Map<number | null, Bucket>()

  return async (c, next) => {
    const token = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1]
    if (token === undefined)
      return refused(
        c,
        'Send the header "Authorization: Bearer …" with a token. "walhook token NAME" makes one.',
      )
    const found = await options.authenticate(token, addressOf(c))
    if (!found.ok) {
      if (found.isHeld)
        return slowDown(
          c,
          found.waitMs / 1000,
          'This address has sent wrong tokens again and again, so it must wait before its next try.',
        )
      return refused(c, 'This token is unknown, expired or revoked. "walhook token NAME" makes a new one.')
    }

    const { caller } = found
    const taken = take(buckets.get(caller.tokenId), rate, options.nowMs())
    buckets.set(caller.tokenId, taken.bucket)
    c.header('ratelimit-policy', `"token";q=${rate.quota};w=${rate.windowS}`)
    c.header('ratelimit', `"token";r=${taken.remaining};t=${taken.resetS}`)
    if (!taken.isAllowed)
      return slowDown(
        c,
        taken.retryAfterS,
        `The token "${caller.name}" has called ${rate.quota} times in ${rate.windowS} s, and may again a little later.`,
      )
    c.set('caller', caller)
    return await next()
  }
}

function refused(c: Context, detail: string): Response {
  c.header('www-authenticate', 'Bearer')
  return problem(c, 401, detail)
}

function slowDown(c: Context, seconds: number, detail: string): Response {
  c.header('retry-after', String(Math.max(1, Math.ceil(seconds))))
  return problem(c, 429, detail)
}

/** Where the connection comes from; empty where there is none, as in a test. */
export function addressOf(c: Context): string {
  return c.env?.incoming ? (getConnInfo(c).remote.address ?? '') : ''
}
