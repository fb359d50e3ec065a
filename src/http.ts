import { createAdmin } from './admin/admin.ts'
import { readSnippets } from './admin/kit/snippets.ts'
import { createApi, type Health } from './api/api.ts'
import { addressOf } from './api/kit/admit.ts'
import type { Metrics } from './api/metrics/metrics.ts'
import type { Config } from './config/config.ts'
import { createAuthenticator } from './control/access/authenticate.ts'
import { createRates, defaultRate } from './control/access/rates.ts'
import { createSessions } from './control/access/sessions.ts'
import { createSignIn, providerMacOf } from './control/access/sign-in.ts'
import type { Control } from './control/kit/control.ts'
import { isTrusted } from './domain/access/client-address.ts'
import { urlOfHost } from './domain/access/public-url.ts'
import { networkOf } from './domain/value/back-off.ts'
import type { Problem } from './domain/value/problem.ts'
import { createGate, type Gate } from './gate/gate.ts'
import { isForPrograms, passageOf, routedPath } from './gate/passage.ts'
import { openProvider } from './oidc/provider.ts'
import { type HttpServer, listenHttp } from './runtime/http-server.ts'
import type { Log } from './runtime/log.ts'

type Bound =
  | { readonly ok: true; readonly server: HttpServer; readonly gate: Gate }
  | { readonly ok: false; readonly problem: Problem }

/** Binds the port. Until `openHttp`, every request gets "starting". */
export async function bindHttp({ host, port, publicUrls, trustedProxies }: Config): Promise<Bound> {
  const gate = createGate({ urls: publicUrls, trustedProxies })
  const listening = await listenHttp(gate.onRequest, {
    host,
    port,
    // A trusted proxy serves many clients.
    keyOf: address => (isTrusted(address, trustedProxies) ? null : networkOf(address)),
  })
  return listening.ok ? { ok: true, server: listening.server, gate } : listening
}

/** Connects API and pages to a gate; or returns the problem. */
export function openHttp(
  gate: Gate,
  options: {
    config: Config
    control: Control
    health: () => Promise<Record<string, Health>>
    metrics: Metrics
    nowMs: () => number
    /** Aborted when the server closes. */
    stopped: AbortSignal
    log: Log
  },
): Problem | null {
  const { config, control, health, metrics, nowMs, stopped, log } = options
  const receiving = readSnippets()
  if (!receiving.ok) return receiving.problem
  const admin = { token: config.adminToken, userId: config.adminUserId }
  const authenticate = createAuthenticator({
    outbox: control.outbox,
    admin,
    nowMs,
    onHeld: (address, failures) => log.warn('login.slowed', { address, failures }),
  })
  const rates = createRates(defaultRate, nowMs)
  const providerMac = providerMacOf(control.sealKey, config.signIn)
  const sessions = createSessions({ control, authenticate, admin, providerMac, nowMs })
  const signIn = config.signIn
    ? createSignIn({
        ...{ control, sessions, nowMs, config: config.signIn },
        provider: openProvider(config.signIn),
        onFailure: facts => log.warn('sign_in.failed', facts),
      })
    : null
  const api = createApi({ control, authenticate, rates, health, metrics, log })
  const { snippets } = receiving
  const frames = config.frameAncestors
  const pages = createAdmin({
    ...{ control, sessions, signIn, rates, snippets, addressOf, nowMs, frames, stopped, log },
    originOf: c => originOf(c.req.header('host'), control.publicUrl, config),
  })
  gate.open({
    passageOf: head =>
      passageOf(head, { classifyToken: authenticate.classify, classifySession: sessions.classify }),
    fetch: (request, env) =>
      (isForPrograms(routedPath(new URL(request.url))) ? api : pages).fetch(request, env),
  })
  return null
}

/** The public URL of a request, by its host; the first one by default. */
function originOf(
  host: string | undefined,
  first: string,
  { publicUrls }: Pick<Config, 'publicUrls'>,
): string {
  const url = urlOfHost(host, publicUrls)
  return url ? `${url.protocol}://${url.host}` : first
}
