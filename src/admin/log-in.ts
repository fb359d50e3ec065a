import type { Context, Hono } from 'hono'
import type { Sessions } from '../control/access/sessions.ts'
import { isOwnPath } from '../domain/access/own-path.ts'
import { linkIsOver } from './enter.ts'
import { type Html, html } from './kit/html.ts'
import { bareLayout } from './kit/layout.ts'
import { type AdminEnv, dropSession, keepLanguage, keepSession, sessionOf } from './kit/session.ts'
import type { Texts } from './texts/en.ts'
import { isLanguage, textsOf } from './texts/texts.ts'

type LogIn = {
  readonly sessions: Sessions
  readonly addressOf: (c: Context) => string
  readonly frames: readonly string[]
}

/** The ways in, which need no session. Who is logged in already goes on. */
export function logInRoutes(app: Hono<AdminEnv>, { sessions, addressOf, frames }: LogIn): void {
  app.get('/login', async c => {
    const session = sessionOf(c)
    const to = ownPath(c.req.query('to'))
    if (session !== null && (await sessions.find(session))) return c.redirect(to, 303)
    const t = textsOf(c)
    const done = c.req.query('done')
    const notice =
      done === 'out' ? t.logIn.loggedOut : done === 'everywhere' ? t.logIn.loggedOutEverywhere : null
    return c.html(logInPage(t, { to, notice, problem: null }))
  })
  app.post('/login', async c => {
    const t = textsOf(c)
    const form = new URLSearchParams(await c.req.text())
    const to = ownPath(form.get('to') ?? undefined)
    const token = (form.get('token') ?? '').trim()
    if (token === '') return c.html(logInPage(t, { to, notice: null, problem: t.logIn.missing }), 422)
    const result = await sessions.logIn(token, addressOf(c))
    if (result.ok) {
      keepSession(c, result)
      return c.redirect(to, 303)
    }
    if (!result.isHeld) return c.html(logInPage(t, { to, notice: null, problem: t.logIn.wrong }), 401)
    const seconds = Math.max(1, Math.ceil(result.waitMs / 1000))
    c.header('retry-after', String(seconds))
    return c.html(logInPage(t, { to, notice: null, problem: t.logIn.slow(seconds) }), 429)
  })
  app.post('/language', async c => {
    const form = new URLSearchParams(await c.req.text())
    const language = form.get('language') ?? ''
    if (isLanguage(language)) keepLanguage(c, language, frames.length > 0)
    return c.redirect(ownPath(form.get('to') ?? undefined), 303)
  })
}

/** The ways out, for who is in. */
export function logOutRoutes(
  app: Hono<AdminEnv>,
  { sessions, frames }: Pick<LogIn, 'sessions' | 'frames'>,
): void {
  const drop = (c: Context<AdminEnv>) => dropSession(c, c.get('caller'), frames.length > 0)

  app.post('/logout', async c => {
    await sessions.logOut(sessionOf(c)!)
    drop(c)
    // In a frame there is no log-in.
    return c.get('caller').kind === 'link' ? linkIsOver(c, frames) : c.redirect('/login?done=out', 303)
  })
  app.post('/logout-everywhere', async c => {
    await sessions.logOutEverywhere(c.get('caller'))
    drop(c)
    return c.redirect('/login?done=everywhere', 303)
  })
}

/** What who is not logged in gets instead of a page: the way to the log-in, and from there back. */
export function toLogIn(c: Context): Response {
  const { pathname, search } = new URL(c.req.url)
  const to = c.req.method === 'GET' ? pathname + search : '/'
  const logIn = to === '/' ? '/login' : `/login?to=${encodeURIComponent(to)}`
  if (c.req.header('hx-request') === 'true') {
    c.header('hx-redirect', '/login')
    return c.body(null, 204)
  }
  // A browser would follow a redirection, and take the log-in for what it had asked to follow.
  if (c.req.header('accept')?.includes('text/event-stream')) return c.body(null, 401)
  return c.redirect(logIn, 303)
}

/** A path of ours that somebody gave us, or the start page: nobody is sent elsewhere. */
function ownPath(path: string | undefined): string {
  return path !== undefined && isOwnPath(path) ? path : '/'
}

function logInPage(
  t: Texts,
  { to, notice, problem }: { to: string; notice: string | null; problem: string | null },
): Html {
  const wrong = problem !== null
  return bareLayout(t, {
    title: t.logIn.title,
    path: '/login',
    body: html`<form method="post" action="/login" class="card log-in">
<h1>${t.logIn.title}</h1>
<p class="lead">${t.logIn.lead}</p>
${notice !== null && html`<p class="notice" role="status">${notice}</p>`}
<input type="hidden" name="to" value="${to}">
<div class="field">
<label for="token">${t.logIn.token}</label>
<input id="token" name="token" type="password" required autofocus autocomplete="current-password" spellcheck="false"
 aria-describedby="token-hint${wrong && ' token-problem'}"${wrong && html` aria-invalid="true"`}>
<p class="hint" id="token-hint">${t.logIn.hint}</p>
${wrong && html`<p class="problem" id="token-problem" role="alert">${problem}</p>`}
</div>
<button class="main">${t.logIn.submit}</button>
</form>`,
  })
}
