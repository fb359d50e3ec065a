import type { Context, Hono } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import type { SignIn, SignInFailure } from '../control/access/sign-in.ts'
import { claimRefusals } from '../domain/access/claims.ts'
import { html } from './kit/html.ts'
import { bareLayout } from './kit/layout.ts'
import { type AdminEnv, allowFormTo, isHttps, keepSession } from './kit/session.ts'
import { textsOf } from './texts/texts.ts'

export type SignInPages = {
  /** Null: tokens only. */
  readonly signIn: SignIn | null
  /** walhook's public origin, by the requested host. */
  readonly originOf: (c: Context) => string
  readonly addressOf: (c: Context) => string
}

const callbackPath = '/login/oidc/callback'
/** The number of pending sign-ins per browser. */
const maxBegun = 3

/** Signs in at an OpenID provider. A HEAD request uses nothing up. */
export function signInRoutes(app: Hono<AdminEnv>, { signIn, originOf, addressOf }: SignInPages): void {
  if (signIn === null) return
  // A link, not a form: the policy `form-action` also restricts where a form is redirected.
  app.get('/login/oidc', async c => {
    if (c.req.method === 'HEAD') return c.body(null, 204)
    const to = c.req.query('to') ?? '/'
    const input = { redirectUri: originOf(c) + callbackPath, to, isAgain: c.req.query('again') !== undefined }
    const begun = await signIn.begin(input, addressOf(c))
    if (!begun.ok) return toProblem(c, begun, to)
    const names = Object.keys(getCookie(c)).filter(name => name.startsWith(prefix(c)))
    for (const name of names.slice(0, Math.max(0, names.length - maxBegun + 1)))
      deleteCookie(c, name, attributes(c))
    const { id, text } = begun.kept
    // Lives longer than it is valid, so that a late user learns the reason.
    setCookie(c, prefix(c) + id, text, { ...attributes(c), maxAge: (6 * begun.keptMs) / 1000 })
    return c.redirect(begun.url.href, 303)
  })

  app.get(callbackPath, async c => {
    if (c.req.method === 'HEAD') return c.body(null, 204)
    c.header('referrer-policy', 'no-referrer')
    const { search } = new URL(c.req.url)
    const id = signIn.idOf(search)
    const name = id === null ? null : prefix(c) + id
    const kept = name === null ? undefined : getCookie(c, name)
    const done = await signIn.finish({ search, redirectUri: originOf(c) + callbackPath, kept }, addressOf(c))
    if (name !== null && kept !== undefined) deleteCookie(c, name, attributes(c))
    if (!done.ok)
      return isClaimRefusal(done.problem)
        ? noAccess(c, done.problem, signIn.providerName, done.name)
        : toProblem(c, done)
    keepSession(c, done)
    return goOn(c, done.to)
  })

  // Where the provider sends a browser after the end of its session.
  app.get('/login/oidc/out', c => c.redirect('/login?done=out', 303))
}

type ClaimRefusal = (typeof claimRefusals)[number]
const isClaimRefusal = (problem: string): problem is ClaimRefusal =>
  (claimRefusals as readonly string[]).includes(problem)

/** After a cross-site navigation, a redirect would not send the session (`SameSite=Strict`): a page of ours leads on. */
function goOn(c: Context, to: string): Response {
  const t = textsOf(c)
  c.header('refresh', `0;url=${to}`)
  const body = html`<div class="card"><h1>${t.signIn.done}</h1><p><a href="${to}">${t.signIn.goOn}</a></p></div>`
  return c.html(bareLayout(t, { title: t.signIn.done, path: '/', body })) as Response
}

function toProblem(c: Context, { problem }: SignInFailure, to = '/'): Response {
  const back = to === '/' ? '' : `&to=${encodeURIComponent(to)}`
  return c.redirect(`/login?problem=${problem}${back}`, 303)
}

/** For users whom the provider knows but who have no rights here. */
function noAccess(c: Context, problem: ClaimRefusal, providerName: string, name: string | null): Response {
  const t = textsOf(c)
  const title = t.signIn.noAccess
  const body = html`<div class="card"><h1>${title}</h1>
<p class="notice bad" role="alert">${t.signIn.problems[problem](providerName)}</p>
${name !== null && html`<p>${t.signIn.signedInAs(name, providerName)}</p>`}
<p><a href="/login/oidc?again">${t.signIn.other}</a></p><p><a href="/login">${t.signIn.back}</a></p></div>`
  return c.html(bareLayout(t, { title, path: '/login', body }), 403) as Response
}

/**
 * Ends the browser's session at the provider, which returns here. By a form, so that no token is in a URL: a script submits
 * it, or a button.
 */
export function logOutAtProvider(
  c: Context,
  { signIn, originOf }: { signIn: SignIn; originOf: SignInPages['originOf'] },
  at: { url: URL; idToken: string | null },
): Response {
  const t = textsOf(c)
  const { url, idToken } = at
  allowFormTo(c, url)
  const given: Record<string, string> = {
    ...(idToken !== null && { id_token_hint: idToken }),
    client_id: signIn.clientId,
    post_logout_redirect_uri: `${originOf(c)}/login/oidc/out`,
  }
  const body = html`<form method="post" action="${url.href}" class="card log-in" data-send-at-once>
<h1>${t.logIn.loggedOut}</h1>
<p class="lead">${t.signIn.stillThere(signIn.providerName)}</p>
${Object.entries(given).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
<button class="main">${t.signIn.logOutThere(signIn.providerName)}</button>
<p><a href="/login">${t.signIn.back}</a></p>
</form>`
  return c.html(bareLayout(t, { title: t.logIn.loggedOut, path: '/login', body })) as Response
}

/** Over https no other host of the domain can set such a cookie: `cookieName` in `kit/session.ts`. */
const prefix = (c: Context) => (isHttps(c) ? '__Host-walhook_sign_in_' : 'walhook_sign_in_')

/** Not `Strict`: the browser sends it when it returns from the provider. */
const attributes = (c: Context) =>
  ({ path: '/', httpOnly: true, secure: isHttps(c), sameSite: 'Lax' }) as const
