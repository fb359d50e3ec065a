import { type Context, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import packageJson from '../../package.json' with { type: 'json' }
import type { Authenticator } from '../control/access/authenticate.ts'
import type { Rates } from '../control/access/rates.ts'
import type { Control } from '../control/kit/control.ts'
import { namedAlertSchemas } from '../domain/alert/alert-schema.ts'
import { maxJsonBytes, tokenIn } from '../gate/passage.ts'
import { describeError, type Log } from '../runtime/log.ts'
import { shared } from '../runtime/shared.ts'
import { addressOf, admit } from './kit/admit.ts'
import { docsPage, docsPolicy } from './kit/docs-page.ts'
import { openApiDocument } from './kit/document.ts'
import { mount, otherMethod } from './kit/mount.ts'
import { nothingAt, problem } from './kit/problem.ts'
import type { ApiEnv } from './kit/route.ts'
import type { Metrics } from './metrics/metrics.ts'
import { routes } from './routes.ts'

/** Whether a part of walhook works, its state in a word, and the reason if it does not. */
export type Health = {
  readonly ok: boolean
  readonly status: string
  readonly reason?: string | undefined
  /** False: the process is ready without it. Absent: true. */
  readonly isVital?: false
}

/** Health and metrics are computed once per interval at most. */
const defaultKeepMs = 1_000
/** Deployments and load balancers wait for a part that is not ready. */
const redKeepMs = 100

/**
 * The HTTP interface for programs: `/api` with a bearer token; without one its description, liveness, readiness (each part of
 * `health`) and metrics.
 */
export function createApi(options: {
  control: Control
  authenticate: Authenticator
  rates: Rates
  health: () => Promise<Record<string, Health>>
  metrics: Metrics
  /** How long answers about health and metrics are cached; a second, except in tests. */
  keepMs?: number
  log: Log
}): Hono {
  const { control, authenticate, log } = options
  const clock = () => performance.now()
  const { keepMs = defaultKeepMs } = options
  const keepHealthMs = (parts: Record<string, Health>) =>
    isReady(parts) ? keepMs : Math.min(keepMs, redKeepMs)
  const health = shared(keepHealthMs, clock, options.health)
  const metrics = shared(keepMs, clock, options.metrics.read)

  /** Reasons name addresses and tables: they need a token without a tenant. */
  async function mayKnowWhy(c: Context): Promise<boolean> {
    const token = tokenIn(c.req.header('authorization'))
    const found = token === null ? null : await authenticate(token, addressOf(c)).catch(() => null)
    return found?.ok === true && found.caller.tenant === null
  }

  const guarded = new Hono<ApiEnv>()
    .use('/api/*', async (c, next) => {
      const maxSize = maxJsonBytes(c.req.path)
      const onError = (c: Context) =>
        problem(c, 413, `The body is too large: at most ${maxSize} bytes are allowed.`)
      return await bodyLimit({ maxSize, onError })(c, next)
    })
    .use('/api/*', admit({ authenticate, rates: options.rates }))
  mount(guarded, routes, control)
  const open = new Hono()
    .get('/livez', c => c.json({ status: 'ok' }))
    .get('/readyz', async c => {
      const parts = await health()
      const isKnown = await mayKnowWhy(c)
      const checks = Object.fromEntries(
        Object.entries(parts).map(([name, { ok, status, reason }]) => [
          name,
          { ok, status: isKnown && reason !== undefined ? `${status}: ${reason}` : status },
        ]),
      )
      const ready = isReady(parts, c.req.queries('exclude'))
      const isWhole = Object.values(checks).every(({ ok }) => ok)
      const isDegraded = ready && !isWhole && !c.req.queries('exclude')
      const status = !ready ? 'not ready' : isDegraded ? 'degraded' : 'ok'
      return c.json({ status, checks }, ready ? 200 : 503)
    })
    .get('/metrics', async c => c.body(await metrics(), 200, { 'content-type': options.metrics.contentType }))
    // The API's description is public, and generators of clients have no token.
    .get('/api/openapi.json', c => c.body(description().json, 200, { 'content-type': 'application/json' }))
    .get('/api/docs', c => {
      c.header('content-security-policy', docsPolicy)
      return c.body(description().page, 200, { 'content-type': 'text/html; charset=UTF-8' })
    })
  for (const { path } of [...open.routes]) open.all(path, c => otherMethod(c, ['GET']))

  return new Hono()
    .use('/api/*', async (c, next) => {
      // Before the response exists: setting a header later would copy the body.
      c.header('cache-control', 'no-store')
      c.header('x-content-type-options', 'nosniff')
      await next()
    })
    .route('/', open)
    .route('/', guarded)
    .notFound(nothingAt)
    .onError((error, c) => {
      log.error('api.failed', { method: c.req.method, path: c.req.path, reason: describeError(error) })
      return problem(c, 500, 'walhook failed to carry out the request. Its log says why.')
    })
}

let written: { readonly json: Uint8Array<ArrayBuffer>; readonly page: Uint8Array<ArrayBuffer> } | null = null

/** The API's description, for programs and for people. Written when first asked for: it takes a fifth of the CPU time of a start. */
function description() {
  if (written !== null) return written
  const document = openApiDocument(routes, packageJson.version, namedAlertSchemas)
  const encode = (text: string) => new TextEncoder().encode(text)
  written = { json: encode(JSON.stringify(document)), page: encode(docsPage(document).toString()) }
  return written
}

/** `excluded` parts, and parts in an excluded state (`capture:gap`), do not count: a load balancer asks for what it needs. */
const isReady = (parts: Record<string, Health>, excluded: readonly string[] = []) =>
  Object.entries(parts).every(
    ([name, { ok, status, isVital }]) =>
      ok || isVital === false || excluded.includes(name) || excluded.includes(`${name}:${status}`),
  )
