import { createAdmin } from '../../src/admin/admin.ts'
import { readSnippets } from '../../src/admin/kit/snippets.ts'
import { createAuthenticator } from '../../src/control/access/authenticate.ts'
import { createRates } from '../../src/control/access/rates.ts'
import { createSessions } from '../../src/control/access/sessions.ts'
import { createSignIn, providerMacOf } from '../../src/control/access/sign-in.ts'
import type { Role } from '../../src/domain/access/role.ts'
import type { SignInConfig } from '../../src/domain/access/sign-in.ts'
import { openProvider } from '../../src/oidc/provider.ts'
import { silentLog } from '../../src/runtime/log.ts'
import { adminToken, openTestApi } from './open-api.ts'

/** What the browser of somebody on our own page sends. */
export const ours = { 'sec-fetch-site': 'same-origin', origin: 'http://walhook.test', host: 'walhook.test' }

/** The pages on an outbox of their own, called without a browser; beside them the API, and all that it has for tests. */
export async function openTestPages(
  options: Parameters<typeof openTestApi>[0] & {
    frames?: readonly string[]
    signIn?: SignInConfig
    addressOf?: () => string
  } = {},
) {
  const at = await openTestApi(options)
  const admin = { token: adminToken, userId: '7' }
  const nowMs = options.nowMs ?? (() => Date.now())
  const authenticate = createAuthenticator({ outbox: at.outbox, admin, nowMs })
  const providerMac = providerMacOf(at.control.sealKey, options.signIn)
  const sessions = createSessions({ control: at.control, authenticate, admin, providerMac, nowMs })
  /** Sign-ins that came to nothing. */
  const failures: { problem: string; reason?: string }[] = []
  const signIn = options.signIn
    ? createSignIn({
        ...{ control: at.control, sessions, nowMs, config: options.signIn },
        provider: openProvider(options.signIn, { nowMs }),
        onFailure: facts => failures.push(facts),
      })
    : null
  const stopped = new AbortController()
  const receiving = readSnippets()
  if (!receiving.ok) throw new Error(JSON.stringify(receiving.problem))
  const pages = createAdmin({
    control: at.control,
    sessions,
    snippets: receiving.snippets,
    addressOf: options.addressOf ?? (() => '192.0.2.1'),
    nowMs,
    rates: createRates({ quota: 1_000_000, windowS: 1 }, nowMs),
    frames: options.frames ?? [],
    signIn,
    originOf: () => 'http://walhook.test',
    stopped: stopped.signal,
    log: silentLog,
  })
  const cookies = new Map<string, string>()

  /** The cookie of somebody who has logged in with a token of this role. */
  async function cookieOf(role: Role): Promise<string> {
    const known = cookies.get(role)
    if (known) return known
    const token = role === 'admin' ? adminToken : await at.token(role)
    const result = await sessions.logIn(token, '192.0.2.1')
    if (!result.ok) throw new Error('not let in')
    const cookie = `walhook_session=${result.session}`
    cookies.set(role, cookie)
    return cookie
  }

  async function send(path: string, init: RequestInit) {
    const response = await pages.request(`http://walhook.test${path}`, init)
    return { status: response.status, headers: response.headers, text: await response.text() }
  }

  /** The cookie of somebody who has logged in with this token. */
  async function cookieFor(token: string): Promise<string> {
    const result = await sessions.logIn(token, '192.0.2.1')
    if (!result.ok) throw new Error('not let in')
    return `walhook_session=${result.session}`
  }

  return {
    ...at,
    cookieFor,
    failures,
    sessions,
    stopped,
    cookieOf,
    send,
    /** Looks at a page, as somebody with a role, or as nobody (null). */
    async get(path: string, role: Role | null = 'admin', headers: Record<string, string> = {}) {
      return await send(path, { headers: { ...(role && { cookie: await cookieOf(role) }), ...headers } })
    },
    /** Follows a part of a page, as a viewer's script does, or with a session of one's own. */
    async stream(path: string, session?: { cookie: string }): Promise<Response> {
      const headers = { ...(session ?? { cookie: await cookieOf('viewer') }), accept: 'text/event-stream' }
      return await pages.request(`http://walhook.test${path}`, { headers })
    },
    /** Sends a form, as from our own page unless `headers` say otherwise. */
    async post(
      path: string,
      form: readonly (readonly [string, string])[] | Record<string, string>,
      role: Role | null = 'admin',
      headers: Record<string, string> = ours,
    ) {
      const fields = Array.isArray(form) ? form.map(([name, value]) => [name, value]) : Object.entries(form)
      return await send(path, {
        method: 'POST',
        headers: {
          ...(role && { cookie: await cookieOf(role) }),
          'content-type': 'application/x-www-form-urlencoded',
          ...headers,
        },
        body: new URLSearchParams(fields as [string, string][]).toString(),
      })
    },
  }
}
