import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { Caller, Control } from '../control/control.ts'
import { describeError, type Log } from '../runtime/log.ts'
import type { Metrics } from './metrics.ts'
import { problem } from './problem.ts'
import { statusRoutes } from './status.ts'
import { type ApiEnv, webhookRoutes } from './webhooks.ts'

/** Whether a part of walhook works, and in a few words how it is. */
export type Health = { readonly ok: boolean; readonly status: string }

const maxBodyBytes = 64 * 1024

/**
 * Everything for programs: `/api` behind a bearer token, and what ops ask without one: is the process alive, is
 * it ready (each part of `health` works), what does it count.
 */
export function createApi(options: {
  control: Control
  authenticate: (token: string) => Promise<Caller | null>
  health: () => Promise<Record<string, Health>>
  metrics: Metrics
  log: Log
}): Hono {
  const { control, log } = options

  const api = new Hono<ApiEnv>()
    .use(
      bodyLimit({
        maxSize: maxBodyBytes,
        onError: c => problem(c, 413, `The body may hold ${maxBodyBytes} bytes.`),
      }),
    )
    .use(async (c, next) => {
      const token = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1]
      const caller = token === undefined ? null : await options.authenticate(token)
      if (!caller) {
        c.header('www-authenticate', 'Bearer')
        return problem(
          c,
          401,
          token === undefined
            ? 'Send the header "Authorization: Bearer …" with a token. "walhook token NAME" makes one.'
            : 'This token is unknown or revoked. "walhook token NAME" makes a new one.',
        )
      }
      c.set('caller', caller)
      return await next()
    })
    .route('/webhooks', webhookRoutes(control))
    .route('/status', statusRoutes(control))

  return new Hono()
    .get('/livez', c => c.json({ status: 'ok' }))
    .get('/readyz', async c => {
      const checks = await options.health()
      const isReady = Object.values(checks).every(({ ok }) => ok)
      return c.json({ status: isReady ? 'ok' : 'not ready', checks }, isReady ? 200 : 503)
    })
    .get('/metrics', async c =>
      c.body(await options.metrics.read(), 200, { 'content-type': options.metrics.contentType }),
    )
    .route('/api', api)
    .notFound(c => problem(c, 404, `There is nothing at ${c.req.method} ${c.req.path}.`))
    .onError((error, c) => {
      log.error('api.failed', { method: c.req.method, path: c.req.path, reason: describeError(error) })
      return problem(c, 500, 'The request was understood, but could not be carried out; the log says why.')
    })
}
