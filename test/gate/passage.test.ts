import { Hono } from 'hono'
import { expect, test } from 'vitest'
import type { Claim } from '../../src/domain/access/credential.ts'
import { passageOf, routedPath } from '../../src/gate/passage.ts'

const head = {
  ...{ authorization: undefined, cookie: undefined, address: '192.0.2.1' },
  ...({ shown: 'tab', isHttps: false } as const),
}
const known = (text: string): Claim =>
  /right/.test(text)
    ? { is: 'holder', key: 'token 7' }
    : /old/.test(text)
      ? { is: 'perhaps' }
      : { is: 'invented' }
const classifiers = { classifyToken: known, classifySession: known }
const of = (request: string, more: object = {}) => {
  const [method, path] = request.split(' ') as [string, string]
  return passageOf({ ...head, method, path, ...more }, classifiers)
}
const token = { authorization: 'Bearer right' }
const session = { cookie: 'a=b; walhook_session=whs_right; c=d' }

test.each<[string, object, string, string, number]>([
  ['GET /livez', token, 'ops', '192.0.2.1', 0],
  ['GET /metrics', token, 'ops', '192.0.2.1', 0],
  ['GET /assets/walhook.js', session, 'file', '192.0.2.1', 0],
  ['GET /readyz', {}, 'ops', '192.0.2.1', 0],
  ['GET /readyz', token, 'short', 'token 7', 65_536],
  ['GET /login', {}, 'free', '192.0.2.1', 0],
  ['POST /login', {}, 'stranger', '192.0.2.1', 8_192],
  ['POST /language', session, 'stranger', '192.0.2.1', 8_192],
  // The owner of an address has no session, and answers by a form.
  ['GET /recipients/7', {}, 'stranger', '192.0.2.1', 0],
  ['POST /recipients/7', {}, 'stranger', '192.0.2.1', 8_192],
  ['GET /login/oidc', {}, 'provider', '192.0.2.1', 0],
  ['GET /login/oidc/callback', session, 'provider', '192.0.2.1', 0],
  ['GET /login/oidc/out', {}, 'free', '192.0.2.1', 0],
  ['POST /logout', session, 'slow', 'token 7', 262_144],
  ['GET /api/webhooks', {}, 'free', '192.0.2.1', 0],
  ['POST /api/webhooks', { authorization: 'Bearer wrong' }, 'free', '192.0.2.1', 0],
  // One that may be of a version before counts for its address, and takes no place of a holder's.
  ['GET /api/webhooks', { authorization: 'Bearer old' }, 'stranger', '192.0.2.1', 65_536],
  ['GET /api/webhooks/7/log', { authorization: 'Bearer old' }, 'stranger', '192.0.2.1', 65_536],
  ['GET /couplings', { cookie: 'walhook_session=old' }, 'stranger', '192.0.2.1', 262_144],
  // A session is none for the API, nor a token for pages.
  ['GET /api/webhooks', session, 'free', '192.0.2.1', 0],
  ['GET /couplings', token, 'free', '192.0.2.1', 0],
  ['GET /api/webhooks', token, 'short', 'token 7', 65_536],
  ['POST /api/webhooks', token, 'slow', 'token 7', 65_536],
  ['PATCH /api/webhooks/7', token, 'slow', 'token 7', 65_536],
  ['POST /api/apply', token, 'slow', 'token 7', 1_048_576],
  ['POST /api/apply', { authorization: 'Bearer wrong' }, 'free', '192.0.2.1', 0],
  ['POST /api/webhooks/7/test', token, 'slow', 'token 7', 65_536],
  ['GET /api/webhooks/7/log', token, 'large', 'token 7', 65_536],
  ['GET /api/webhooks/7/log/12', token, 'large', 'token 7', 65_536],
  ['GET /api/events', token, 'short', 'token 7', 65_536],
  ['GET /api/events/12', token, 'large', 'token 7', 65_536],
  ['GET /couplings', session, 'short', 'token 7', 262_144],
  [
    'GET /couplings',
    { cookie: '__Host-walhook_session=whs_right', isHttps: true },
    'short',
    'token 7',
    262_144,
  ],
  ['GET /couplings', { ...session, isHttps: true }, 'free', '192.0.2.1', 0],
  ['GET /couplings', { cookie: 'walhook_session=whs_invented' }, 'free', '192.0.2.1', 0],
  ['GET /couplings', { cookie: 'x-walhook_session=whs_right' }, 'free', '192.0.2.1', 0],
  ['GET /couplings/7/log', session, 'short', 'token 7', 262_144],
  ['GET /couplings/7/log/12', session, 'large', 'token 7', 262_144],
  // What follows an event has lines only.
  ['GET /events/12/live', session, 'short', 'token 7', 262_144],
  ['GET /events/12', session, 'large', 'token 7', 262_144],
  ['POST /couplings/7/test', session, 'slow', 'token 7', 262_144],
  ['POST /couplings/new', session, 'slow', 'token 7', 262_144],
])('%s with %j needs a permit of the kind %s for %s', (request, more, kind, key, maxBodyBytes) => {
  expect(of(request, more)).toMatchObject({ kind, key, maxBodyBytes })
})

test.each([
  ['/api/webhooks/%31/log', '/api/webhooks/1/log'],
  ['/api/webhooks/1/l%6Fg', '/api/webhooks/1/log'],
  ['/api/webhooks/1/l%6fg/%ff', '/api/webhooks/1/log/%ff'],
  ['/api/webhooks/1%2Flog', '/api/webhooks/1%2Flog'],
  ['/api/webhooks/%2531', '/api/webhooks/%2531'],
  ['/a%zz', '/a%zz'],
])('%s is the path %s, as the router reads it', async (written, path) => {
  const url = new URL(written, 'http://walhook')
  expect(routedPath(url)).toBe(path)
  const app = new Hono().all('*', c => c.text(c.req.path))
  expect(await (await app.request(url)).text()).toBe(path)
})
