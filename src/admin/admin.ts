import type { Context } from 'hono'
import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { Rates } from '../control/access/rates.ts'
import type { Sessions } from '../control/access/sessions.ts'
import type { Control } from '../control/kit/control.ts'
import { describeError, type Log } from '../runtime/log.ts'
import { enterRoutes } from './enter.ts'
import { assetRoutes } from './kit/assets.ts'
import { html } from './kit/html.ts'
import { bareLayout } from './kit/layout.ts'
import { mount, notFound, show } from './kit/mount.ts'
import { type AdminEnv, allowFrames, onlyOurPages, requireSession } from './kit/session.ts'
import type { Snippet } from './kit/snippets.ts'
import { logInRoutes, logOutRoutes, toLogIn } from './log-in.ts'
import { pages } from './pages.ts'
import { recipientRoutes } from './recipient.ts'
import { type SignInPages, signInRoutes } from './sign-in.ts'
import { textsOf } from './texts/texts.ts'

const maxBodyBytes = 256 * 1024

/** The pages for people, behind a log-in and rendered on the server. Only live updates need a script. Programs have the API. */
export function createAdmin(
  options: SignInPages & {
    control: Control
    sessions: Sessions
    snippets: readonly Snippet[]
    nowMs: () => number
    /** Shared with the API: one token, one limit. */
    rates: Rates
    /** The origins that may embed the pages in a frame, for users of a link. */
    frames: readonly string[]
    /** Aborted when the server closes. */
    stopped: AbortSignal
    log: Log
  },
): Hono<AdminEnv> {
  const { control, sessions, snippets, nowMs, frames, stopped, log } = options
  const onFailure = ({ req }: Context, error: unknown) =>
    log.error('page.failed', { method: req.method, path: req.path, reason: describeError(error) })
  const mounted = { pages, control, snippets, nowMs, stopped, textsOf, onFailure }

  const open = new Hono<AdminEnv>().use(onlyOurPages())
  logInRoutes(open, options)
  enterRoutes(open, options)
  signInRoutes(open, options)
  recipientRoutes(open, options)

  const guarded = new Hono<AdminEnv>().use(
    requireSession(sessions, c => toLogIn(c, frames), {
      frames,
      rates: options.rates,
      onOften: c => errorPage(c, textsOf(c).errors.tooOften, 429),
    }),
  )
  guarded.get('/', c => c.redirect('/couplings', 303))
  logOutRoutes(guarded, options)
  mount(guarded, mounted)
  guarded.all('*', c => show(c, mounted, null, notFound(textsOf(c))))

  return new Hono<AdminEnv>()
    .route('/', assetRoutes())
    .use(async (c, next) => {
      // Before the response exists: setting a header later would copy the body.
      allowFrames(c, [])
      c.header('referrer-policy', 'same-origin')
      c.header('x-content-type-options', 'nosniff')
      c.header('cross-origin-opener-policy', 'same-origin')
      c.header('cache-control', 'no-store')
      await next()
    })
    .use(bodyLimit({ maxSize: maxBodyBytes, onError: c => errorPage(c, textsOf(c).errors.tooLarge, 413) }))
    .route('/', open)
    .route('/', guarded)
    .onError((error, c) => {
      onFailure(c, error)
      return errorPage(c, textsOf(c).errors.failed, 500)
    })
}

function errorPage(c: Context, sentence: string, status: 413 | 429 | 500): Response {
  const t = textsOf(c)
  const alert = html`<p class="notice bad" role="alert">${sentence}</p>`
  if (c.req.header('hx-request') === 'true') return c.html(alert, status) as Response
  const body = html`<div class="card"><h1>${t.errors.failedTitle}</h1>${alert}<p><a href="/couplings">${t.errors.toCouplings}</a></p></div>`
  return c.html(bareLayout(t, { title: t.errors.failedTitle, path: '/', body }), status) as Response
}
