import type { Context, MiddlewareHandler } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import type { Rates } from '../../control/access/rates.ts'
import type { LoggedIn, Sessions } from '../../control/access/sessions.ts'
import type { Caller } from '../../control/kit/control.ts'
import { isFromOurPage } from '../../domain/access/same-origin.ts'
import type { Visit } from '../../gate/passage.ts'

export type AdminEnv = {
  /** Absent without a gate, as in a test. */
  Bindings: { readonly visit?: Visit }
  Variables: {
    caller: Caller
    /** Whether the session still holds: for an answer that goes on. */
    isStillIn: () => Promise<boolean>
  }
}

/** Over https no other host of the domain, and nobody on the way, can set a cookie with this prefix. https://developer.mozilla.org/docs/Web/HTTP/Headers/Set-Cookie#cookie_prefixes */
const cookieName = (c: Context) => (isHttps(c) ? '__Host-walhook_session' : 'walhook_session')

/** Gives a session to the browser: no script sees it, no other site sends it, and over https it never goes without. */
export function keepSession(c: Context, { session, expiresAt }: Extract<LoggedIn, { ok: true }>): void {
  setCookie(c, cookieName(c), session, { ...attributes(c), expires: expiresAt })
}

/** The session that the browser sent, or null. */
export function sessionOf(c: Context): string | null {
  return getCookie(c, cookieName(c)) ?? null
}

/** Makes the browser forget its session; that it has ended is up to `logOut`. */
export function dropSession(c: Context): void {
  deleteCookie(c, cookieName(c), attributes(c))
}

function attributes(c: Context) {
  return { httpOnly: true, sameSite: 'Strict', path: '/', secure: isHttps(c) } as const
}

/** The gate knows; without one, as in a test, the request says it. */
function isHttps(c: Context): boolean {
  const visit: Visit | undefined = c.env?.visit
  if (visit) return visit.isHttps
  return new URL(c.req.url).protocol === 'https:' || c.req.header('x-forwarded-proto') === 'https'
}

/**
 * Lets in who has a session, and leaves a request that would change something and comes from elsewhere undone (403).
 * Without a session `onNone` answers; to who calls more often than `rates` allow, `onOften`.
 */
export function requireSession(
  sessions: Sessions,
  onNone: (c: Context) => Response | Promise<Response>,
  { rates, onOften }: { rates: Rates; onOften: (c: Context) => Response | Promise<Response> },
): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    if (!fromOurPage(c)) return foreign(c)
    const session = sessionOf(c)
    const caller = session === null ? null : await sessions.find(session)
    if (!caller) return await onNone(c)
    const taken = rates.take(caller)
    if (!taken.isAllowed) {
      c.header('retry-after', String(Math.max(1, Math.ceil(taken.retryAfterS))))
      return await onOften(c)
    }
    c.set('caller', caller)
    c.set('isStillIn', async () => (await sessions.find(session!)) !== null)
    return await next()
  }
}

/** Refuses what another site sends, also where there is no session yet: a log-in. */
export function onlyOurPages(): MiddlewareHandler {
  return async (c, next) => (fromOurPage(c) ? await next() : foreign(c))
}

const foreign = (c: Context) => c.text('This was sent by another site, so nothing was done.', 403)

const fromOurPage = (c: Context) =>
  isFromOurPage({
    method: c.req.method,
    secFetchSite: c.req.header('sec-fetch-site'),
    origin: c.req.header('origin'),
    host: c.req.header('host'),
  })
