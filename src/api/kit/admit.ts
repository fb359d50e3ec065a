import { getConnInfo } from '@hono/node-server/conninfo'
import type { Context, MiddlewareHandler } from 'hono'
import type { Authenticated } from '../../control/access/authenticate.ts'
import type { Rates } from '../../control/access/rates.ts'
import { tokenIn, type Visit } from '../../gate/passage.ts'
import { problem } from './problem.ts'
import type { ApiEnv } from './route.ts'

/**
 * Admits calls with a valid token within `rates`. Every response says what is left:
 * https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
 */
export function admit(options: {
  authenticate: (token: string, address: string) => Promise<Authenticated>
  rates: Rates
}): MiddlewareHandler<ApiEnv> {
  const { rates } = options
  const rate = rates.policy
  return async (c, next) => {
    const token = tokenIn(c.req.header('authorization'))
    if (token === null)
      return refused(
        c,
        'Send the header "Authorization: Bearer …" with a token. "walhook token NAME" creates one.',
      )
    const found = await options.authenticate(token, addressOf(c))
    if (!found.ok) {
      if (found.isHeld)
        return slowDown(
          c,
          found.waitMs / 1000,
          'This address has sent too many wrong tokens. It must wait before its next try.',
        )
      return refused(c, 'This token is unknown, expired or revoked. "walhook token NAME" creates a new one.')
    }

    const { caller } = found
    const taken = rates.take(caller)
    c.header('ratelimit-policy', `"token";q=${rate.quota};w=${rate.windowS}`)
    c.header('ratelimit', `"token";r=${taken.remaining};t=${taken.resetS}`)
    if (!taken.isAllowed)
      return slowDown(
        c,
        taken.retryAfterS,
        `The token "${caller.name}" has made ${rate.quota} calls in ${rate.windowS} s. Try again a little later.`,
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

/** The client's address, as the gate sees it; empty without a connection, as in a test. */
export function addressOf(c: Context): string {
  const visit: Visit | undefined = c.env?.visit
  if (visit) return visit.address
  return c.env?.incoming ? (getConnInfo(c).remote.address ?? '') : ''
}
