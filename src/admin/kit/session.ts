import type { Context, MiddlewareHandler } from 'hono'
import { deleteCookie, setCookie } from 'hono/cookie'
import type { Rates } from '../../control/access/rates.ts'
import type { LoggedIn, Sessions } from '../../control/access/sessions.ts'
import type { Caller } from '../../control/kit/control.ts'
import { isFromOurPage } from '../../domain/access/same-origin.ts'
import {
  cookieNameOf,
  frameHeader,
  type Shown,
  sessionIn,
  shownIn,
} from '../../domain/access/session-cookie.ts'
import { dayMs } from '../../domain/value/duration.ts'
import type { Visit } from '../../gate/passage.ts'
import { type Language, languageCookie } from '../texts/texts.ts'

export type AdminEnv = {
  /** Absent without a gate, as in a test. */
  Bindings: { readonly visit?: Visit }
  Variables: {
    caller: Caller
    /** Whether the session is still valid, for a streamed answer. */
    isStillIn: () => Promise<boolean>
  }
}

/** Only walhook's own scripts, styles and pictures; only these origins may frame a page; forms go nowhere else. */
const contentSecurityPolicy = (frames: readonly string[], forms = '') =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    `form-action 'self'${forms}`,
    "base-uri 'none'",
    `frame-ancestors ${frames.length === 0 ? "'none'" : frames.join(' ')}`,
  ].join('; ')

/** Sets which pages may frame this one; old browsers only know all or none. */
export function allowFrames(c: Context, frames: readonly string[]): void {
  c.header('content-security-policy', contentSecurityPolicy(frames))
  c.header('x-frame-options', frames.length === 0 ? 'DENY' : undefined)
}

/**
 * Permits the page's form to post to another site, and to follow redirects there. Only for pages with this form alone, and
 * without user content.
 */
export function allowFormTo(c: Context, { protocol, origin }: URL): void {
  const forms = protocol === 'https:' ? ' https:' : ` ${origin}`
  c.header('content-security-policy', contentSecurityPolicy([], forms))
}

type Kept = Omit<Extract<LoggedIn, { ok: true }>, 'ok'> & { readonly shown?: Shown }

/**
 * Sets the session cookie: hidden from scripts, and over https only sent over https. The browser keeps it for a day longer than the session,
 * so that the gate reads a form that is sent too late, and the page returns it.
 */
export function keepSession(c: Context, { caller, session, expiresAt, shown = 'tab' }: Kept): void {
  const expires = new Date(expiresAt.getTime() + dayMs)
  setCookie(c, cookieNameOf(shown, isHttps(c)), session, { ...attributes(c, caller, shown), expires })
}

/** Where the page of a request is shown. */
export function shownOf(c: Context): Shown {
  return shownIn({
    secFetchDest: c.req.header('sec-fetch-dest'),
    walhookFrame: c.req.header(frameHeader),
    search: new URL(c.req.url).search,
  })
}

const found = (c: Context) => sessionIn(c.req.header('cookie'), { shown: shownOf(c), isHttps: isHttps(c) })

/** The session of a request, or null. */
export function sessionOf(c: Context): string | null {
  return found(c)?.session ?? null
}

/** Deletes the cookie of the request's session; `logOut` ends the session. */
export function dropSession(c: Context, caller: Caller): void {
  const { shown } = found(c) ?? { shown: 'tab' }
  deleteCookie(c, cookieNameOf(shown, isHttps(c)), attributes(c, caller, shown))
}

/** Stores the language that a reader chose, or a link sets. */
export function keepLanguage(c: Context, language: Language, shown: Shown): void {
  const year = 365 * 86_400
  const where = shown === 'frame' ? inFrames(c) : ({ sameSite: 'Strict' } as const)
  setCookie(c, languageCookie, language, { path: '/', httpOnly: true, maxAge: year, ...where })
}

/**
 * The cookie of a token's session is only sent by our own pages. A link's user comes from another site and may stay in its
 * frame: that cookie is `Partitioned`, valid only within that site. `isFromOurPage` refuses cross-site requests.
 * https://developer.mozilla.org/docs/Web/Privacy/Guides/Privacy_sandbox/Partitioned_cookies
 */
function attributes(c: Context, { kind }: Pick<Caller, 'kind'>, shown: Shown) {
  const base = { httpOnly: true, path: '/', secure: isHttps(c) } as const
  if (kind !== 'link') return { ...base, sameSite: 'Strict' } as const
  return { ...base, ...(shown === 'frame' ? inFrames(c) : ({ sameSite: 'Lax' } as const)) }
}

/** Browsers refuse such a cookie without https: then frames only work on the same site, as on one machine. */
function inFrames(c: Context) {
  return isHttps(c)
    ? ({ sameSite: 'None', secure: true, partitioned: true } as const)
    : ({ sameSite: 'Lax' } as const)
}

/** The gate knows; without one, as in a test, the request says it. */
export function isHttps(c: Context): boolean {
  const visit: Visit | undefined = c.env?.visit
  if (visit) return visit.isHttps
  return new URL(c.req.url).protocol === 'https:' || c.req.header('x-forwarded-proto') === 'https'
}

/**
 * Admits requests with a session, and refuses changes from other sites (403). Without a session `onNone` answers; above
 * `rates`, `onOften`.
 */
export function requireSession(
  sessions: Sessions,
  onNone: (c: Context) => Response | Promise<Response>,
  {
    rates,
    onOften,
    frames,
  }: { rates: Rates; onOften: (c: Context) => Response | Promise<Response>; frames: readonly string[] },
): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    if (!fromOurPage(c)) return foreign(c)
    const session = sessionOf(c)
    const caller = session === null ? null : await sessions.find(session)
    if (!caller) return await onNone(c)
    if (caller.kind === 'link') allowFrames(c, frames)
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

/** Refuses requests from other sites, also without a session: a log-in. */
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
