import type { Context, Hono } from 'hono'
import type { Sessions } from '../control/access/sessions.ts'
import type { SignIn } from '../control/access/sign-in.ts'
import { isOwnPath } from '../domain/access/own-path.ts'
import { signInProblems } from '../domain/access/sign-in.ts'
import { linkIsOver } from './enter.ts'
import { type Html, html } from './kit/html.ts'
import { bareLayout } from './kit/layout.ts'
import {
  type AdminEnv,
  allowFrames,
  dropSession,
  keepLanguage,
  keepSession,
  sessionOf,
  shownOf,
} from './kit/session.ts'
import { logOutAtProvider, type SignInPages } from './sign-in.ts'
import type { Texts } from './texts/en.ts'
import { isLanguage, textsOf } from './texts/texts.ts'

type LogIn = {
  readonly sessions: Sessions
  readonly frames: readonly string[]
} & SignInPages

/** The log-in, without a session. Users with a session are redirected. */
export function logInRoutes(app: Hono<AdminEnv>, { sessions, addressOf, frames, signIn }: LogIn): void {
  const page = (t: Texts, message: Partial<Message> & { to: string }) =>
    logInPage(t, { ...{ notice: null, problem: null, failed: null }, ...message }, signIn)

  app.get('/login', async c => {
    const session = sessionOf(c)
    const to = ownPath(c.req.query('to'))
    if (session !== null && (await sessions.find(session))) return c.redirect(to, 303)
    const t = textsOf(c)
    const done = c.req.query('done')
    const notice =
      done === 'out' ? t.logIn.loggedOut : done === 'everywhere' ? t.logIn.loggedOutEverywhere : null
    const { problem: code } = c.req.query()
    const failed = isProblem(code) && signIn ? t.signIn.problems[code](signIn.providerName) : null
    return c.html(page(t, { to, notice, failed }))
  })
  app.post('/login', async c => {
    const t = textsOf(c)
    const form = new URLSearchParams(await c.req.text())
    const to = ownPath(form.get('to') ?? undefined)
    const token = (form.get('token') ?? '').trim()
    if (token === '') return c.html(page(t, { to, problem: t.logIn.missing }), 422)
    const result = await sessions.logIn(token, addressOf(c))
    if (result.ok) {
      keepSession(c, result)
      return c.redirect(to, 303)
    }
    if (!result.isHeld) return c.html(page(t, { to, problem: t.logIn.wrong }), 401)
    const seconds = Math.max(1, Math.ceil(result.waitMs / 1000))
    c.header('retry-after', String(seconds))
    return c.html(page(t, { to, problem: t.logIn.slow(seconds) }), 429)
  })
  app.post('/language', async c => {
    const form = new URLSearchParams(await c.req.text())
    const language = form.get('language') ?? ''
    if (isLanguage(language)) keepLanguage(c, language, frames.length > 0 ? shownOf(c) : 'tab')
    return c.redirect(ownPath(form.get('to') ?? undefined), 303)
  })
}

/** The log-out, with a session. */
export function logOutRoutes(
  app: Hono<AdminEnv>,
  { sessions, frames, ...pages }: Omit<LogIn, 'addressOf'>,
): void {
  /** Ends the session here, and at the provider if it supports that. */
  async function leave(c: Context<AdminEnv>, end: () => Promise<unknown>, done: string): Promise<Response> {
    const { kind } = c.get('caller')
    const { signIn, originOf } = pages
    const idToken = kind === 'oidc' ? await sessions.idTokenOf(sessionOf(c)!) : null
    await end()
    dropSession(c, c.get('caller'))
    // A frame has no log-in.
    if (kind === 'link') return linkIsOver(c, frames)
    const url = kind === 'oidc' && signIn ? await signIn.logOutUrl() : null
    if (!url || !signIn) return c.redirect(`/login?done=${done}`, 303)
    return logOutAtProvider(c, { signIn, originOf }, { url, idToken })
  }

  app.post('/logout', async c => await leave(c, () => sessions.logOut(sessionOf(c)!), 'out'))
  app.post(
    '/logout-everywhere',
    async c => await leave(c, () => sessions.logOutEverywhere(c.get('caller')), 'everywhere'),
  )
}

/** Redirects to the log-in, and from there back. A form that was sent returns, and a part of a page stays: no input is lost. */
export async function toLogIn(c: Context, frames: readonly string[]): Promise<Response> {
  const { pathname, search } = new URL(c.req.url)
  const isForm = c.req.method === 'POST'
  if (c.req.header('hx-request') === 'true') {
    if (!isForm) {
      c.header('hx-redirect', '/login')
      return c.body(null, 204)
    }
    c.header('hx-retarget', '#stale')
    c.header('hx-reswap', 'outerHTML')
    return c.html(overNotice(textsOf(c)))
  }
  // A browser would follow a redirect, and take the log-in for the live part.
  if (c.req.header('accept')?.includes('text/event-stream')) return c.body(null, 401)
  const typed = isForm ? [...new URLSearchParams(await c.req.text())] : []
  if (typed.length > 0) return sendAgain(c, { path: pathname, typed, frames })
  if (frames.length > 0 && shownOf(c) === 'frame') return linkIsOver(c, frames)
  const to = c.req.method === 'GET' ? pathname + search : '/'
  return c.redirect(to === '/' ? '/login' : `/login?to=${encodeURIComponent(to)}`, 303)
}

const overNotice = (t: Texts): Html =>
  html`<p class="notice warn" id="stale" role="alert">${t.logIn.over}. ${t.logIn.overHere} <a href="/login" target="_blank">${t.logIn.inNewTab}</a></p>`

type Sent = {
  readonly path: string
  readonly typed: readonly (readonly [string, string])[]
  readonly frames: readonly string[]
}

/** The form that was sent without a session, to be sent again with one. */
function sendAgain(c: Context, { path, typed, frames }: Sent): Response {
  if (shownOf(c) === 'frame') allowFrames(c, frames)
  const t = textsOf(c)
  const body = html`<form method="post" action="${path}" class="card log-in"><h1>${t.logIn.over}</h1>
<p>${t.logIn.overHere}</p><p><a href="/login" target="_blank">${t.logIn.inNewTab}</a></p>
${typed.map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}<button class="main">${t.logIn.sendAgain}</button></form>`
  return c.html(bareLayout(t, { title: t.logIn.over, path: '/', body }), 401) as Response
}

/** A path of ours from a request, or the start page: never another site. */
function ownPath(path: string | undefined): string {
  return path !== undefined && isOwnPath(path) ? path : '/'
}

const isProblem = (code: string | undefined): code is (typeof signInProblems)[number] =>
  (signInProblems as readonly (string | undefined)[]).includes(code)

type Message = {
  readonly to: string
  readonly notice: string | null
  /** The problem of the token. */
  readonly problem: string | null
  /** Why a sign-in at the provider failed. */
  readonly failed: string | null
}

function logInPage(t: Texts, { to, notice, problem, failed }: Message, signIn: SignIn | null): Html {
  const wrong = problem !== null
  return bareLayout(t, {
    title: t.logIn.title,
    path: '/login',
    body: html`<form method="post" action="/login" class="card log-in">
<h1>${t.logIn.title}</h1>
<p class="lead">${t.logIn.lead}</p>
${notice !== null && html`<p class="notice" role="status">${notice}</p>`}
${failed !== null && html`<p class="notice bad" role="alert">${failed}</p>`}
${signIn !== null && html`${byProvider(t, signIn, to)}`}
<input type="hidden" name="to" value="${to}">
<div class="field">
<label for="token">${t.logIn.token}</label>
<input id="token" name="token" type="password" required${signIn === null && html` autofocus`} autocomplete="current-password" spellcheck="false"
 aria-describedby="token-hint${wrong && ' token-problem'}"${wrong && html` aria-invalid="true"`}>
<p class="hint" id="token-hint">${t.logIn.hint}</p>
${wrong && html`<p class="problem" id="token-problem" role="alert">${problem}</p>`}
</div>
<button${signIn === null && html` class="main"`}>${signIn === null ? t.logIn.submit : t.signIn.withToken}</button>
</form>`,
  })
}

function byProvider(t: Texts, { providerName }: SignIn, to: string): Html {
  const href = to === '/' ? '/login/oidc' : `/login/oidc?to=${encodeURIComponent(to)}`
  return html`<a class="button main" href="${href}">${t.signIn.with(providerName)}</a>
<p class="or">${t.signIn.or}</p>`
}
