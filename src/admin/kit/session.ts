import type { Context, MiddlewareHandler } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import type { Rates } from '../../control/access/rates.ts'
import type { LoggedIn, Sessions } from '../../control/access/sessions.ts'
import type { Caller } from '../../control/kit/control.ts'
import { isFromOurPage } from '../../domain/access/same-origin.ts'
import type { Visit } from '../../gate/passage.ts'
import { type Language, languageCookie } from '../texts/texts.ts'

export type AdminEnv = {
  /** Absent without a gate, as in a test. */
  Bindings: { readonly visit?: Visit }
  Variables: {
    caller: Caller
    /** Whether the session still holds: for an answer that goes on. */
    isStillIn: () => Promise<boolean>
  }
}

/** No script, style or picture but our own files, no frame around us but of these origins, no form to elsewhere. */
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

/** Says which pages may hold this one in a frame; browsers that do not know `frame-ancestors` hear of none, or of nothing. */
export function allowFrames(c: Context, frames: readonly string[]): void {
  c.header('content-security-policy', contentSecurityPolicy(frames))
  c.header('x-frame-options', frames.length === 0 ? 'DENY' : undefined)
}

/**
 * Says that the page's form goes to another site, and wherever that leads on to. Only for a page that has this one form, and nothing
 * that somebody has written.
 */
export function allowFormTo(c: Context, { protocol, origin }: URL): void {
  const forms = protocol === 'https:' ? ' https:' : ` ${origin}`
  c.header('content-security-policy', contentSecurityPolicy([], forms))
}

/** Over https no other host of the domain, and nobody on the way, can set a cookie with this prefix. https://developer.mozilla.org/docs/Web/HTTP/Headers/Set-Cookie#cookie_prefixes */
const cookieName = (c: Context) => (isHttps(c) ? '__Host-walhook_session' : 'walhook_session')

type Kept = Omit<Extract<LoggedIn, { ok: true }>, 'ok'> & { readonly isInFrames?: boolean }

/** Gives a session to the browser: no script sees it, and over https it never goes without. */
export function keepSession(c: Context, { caller, session, expiresAt, isInFrames = false }: Kept): void {
  setCookie(c, cookieName(c), session, { ...attributes(c, caller, isInFrames), expires: expiresAt })
}

/** The session that the browser sent, or null. */
export function sessionOf(c: Context): string | null {
  return getCookie(c, cookieName(c)) ?? null
}

/** Makes the browser forget its session; that it has ended is up to `logOut`. */
export function dropSession(c: Context, caller: Caller, isInFrames: boolean): void {
  deleteCookie(c, cookieName(c), attributes(c, caller, isInFrames))
}

/** Keeps the language that a reader has chosen, or a link says. */
export function keepLanguage(c: Context, language: Language, isInFrames: boolean): void {
  const year = 365 * 86_400
  const where = isInFrames ? inFrames(c) : ({ sameSite: 'Strict' } as const)
  setCookie(c, languageCookie, language, { path: '/', httpOnly: true, maxAge: year, ...where })
}

/**
 * The session of a token is sent by our own pages alone. Whoever comes by a link comes from another site, and may stay in its frame: then the
 * cookie belongs to that site's pages with ours in them, and is nowhere else (`Partitioned`). That another site's page has a
 * browser send something is refused before (`isFromOurPage`). https://developer.mozilla.org/docs/Web/Privacy/Guides/Privacy_sandbox/Partitioned_cookies
 */
function attributes(c: Context, { kind }: Pick<Caller, 'kind'>, isInFrames: boolean) {
  const base = { httpOnly: true, path: '/', secure: isHttps(c) } as const
  if (kind !== 'link') return { ...base, sameSite: 'Strict' } as const
  return { ...base, ...(isInFrames ? inFrames(c) : ({ sameSite: 'Lax' } as const)) }
}

/** Without https a browser takes no such cookie: then a frame works on pages of the same site, as on one machine. */
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
 * Lets in who has a session, and leaves a request that would change something and comes from elsewhere undone (403).
 * Without a session `onNone` answers; to who calls more often than `rates` allow, `onOften`.
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
