import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import packageJson from '../../package.json' with { type: 'json' }
import type { Authenticated } from '../control/authenticate.ts'
import type { Control } from '../control/control.ts'
import type { RatePolicy } from '../domain/rate.ts'
import { describeError, type Log } from '../runtime/log.ts'
import { admit, usualRate } from './admit.ts'
import { docsPage, docsPolicy } from './docs-page.ts'
import { openApiDocument } from './document.ts'
import type { Metrics } from './metrics.ts'
import { mount, otherMethod } from './mount.ts'
import { problem } from './problem.ts'
import type { ApiEnv } from './route.ts'
import { routes } from './routes.ts'

/** Whether a part of walhook works, and in a few words how it is. */
export type Health = { readonly ok: boolean; readonly status: string }

const maxBodyBytes = 64 * 1024

/**
 * Everything for programs: `/api` behind a bearer token, and without one its description, and what ops ask: is the
 * process alive, is it ready (each part of `health` works), what does it count.
 */
export function createApi(options: {
  control: Control
  authenticate: (token: string, address: string) => Promise<Authenticated>
  rate?: RatePolicy
  nowMs: () => number
  health: () => Promise<Record<string, Health>>
  metrics: Metrics
  log: Log
}): Hono {
  const { control, nowMs, log } = options

  const guarded = new Hono<ApiEnv>()
    .use(
      '/api/*',
      bodyLimit({
        maxSize: maxBodyBytes,
        onError: c => problem(c, 413, `The body may hold ${maxBodyBytes} bytes.`),
      }),
    )
    .use('/api/*', admit({ authenticate: options.authenticate, rate: options.rate ?? usualRate, nowMs }))
  mount(guarded, routes, control)
  const document = openApiDocument(routes, packageJson.version)

  const open = new Hono()
    .get('/livez', c => c.json({ status: 'ok' }))
    .get('/readyz', async c => {
      const checks = await options.health()
      const isReady = Object.values(checks).every(({ ok }) => ok)
      return c.json({ status: isReady ? 'ok' : 'not ready', checks }, isReady ? 200 : 503)
    })
    .get('/metrics', async c =>
      c.body(await options.metrics.read(), 200, { 'content-type': options.metrics.contentType }),
    )
    // What there is to call is no secret, and generators of clients bring no token.
    .get('/api/openapi.json', c => c.json(document))
    .get('/api/docs', c => {
      c.header('content-security-policy', docsPolicy)
      return c.html(docsPage(document))
    })
  for (const { path } of [...open.routes]) open.all(path, c => otherMethod(c, ['GET']))

  return new Hono()
    .use('/api/*', async (c, next) => {
      await next()
      c.header('cache-control', 'no-store')
      c.header('x-content-type-options', 'nosniff')
    })
    .route('/', open)
    .route('/', guarded)
    .notFound(c => problem(c, 404, `There is nothing at ${c.req.method} ${c.req.path}.`))
    .onError((error, c) => {
      log.error('api.failed', { method: c.req.method, path: c.req.path, reason: describeError(error) })
      return problem(c, 500, 'The request was understood, but could not be carried out; the log says why.')
    })
}
