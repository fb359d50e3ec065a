import { expect, test } from 'vitest'
import { passageOf } from '../../src/gate/passage.ts'

const head = { method: 'GET', authorization: undefined, cookie: undefined, address: '192.0.2.1' }
const judges = {
  isToken: (text: string) => text === 'right',
  isSession: (text: string) => text === 'whs_right',
}
const of = (request: string, more: object = {}) => {
  const [method, path] = request.split(' ') as [string, string]
  return passageOf({ ...head, method, path, ...more }, judges)
}
const token = { authorization: 'Bearer right' }
const session = { cookie: 'a=b; walhook_session=whs_right; c=d' }

test.each<[string, object, string | null, string, number]>([
  ['GET /livez', token, null, '192.0.2.1', 0],
  ['GET /metrics', token, null, '192.0.2.1', 0],
  ['GET /assets/walhook.js', session, null, '192.0.2.1', 0],
  ['GET /readyz', {}, null, '192.0.2.1', 0],
  ['GET /readyz', token, 'usual', 'right', 65_536],
  ['GET /login', {}, null, '192.0.2.1', 0],
  ['POST /login', {}, 'usual', '192.0.2.1', 8_192],
  ['POST /language', session, 'usual', '192.0.2.1', 8_192],
  ['GET /api/webhooks', {}, null, '192.0.2.1', 0],
  ['POST /api/webhooks', { authorization: 'Bearer wrong' }, null, '192.0.2.1', 0],
  // A session is none for the API, nor a token for pages.
  ['GET /api/webhooks', session, null, '192.0.2.1', 0],
  ['GET /couplings', token, null, '192.0.2.1', 0],
  ['GET /api/webhooks', token, 'usual', 'right', 65_536],
  ['POST /api/webhooks', token, 'slow', 'right', 65_536],
  ['PATCH /api/webhooks/7', token, 'slow', 'right', 65_536],
  ['POST /api/webhooks/7/test', token, 'slow', 'right', 65_536],
  ['GET /api/webhooks/7/log', token, 'large', 'right', 65_536],
  ['GET /api/webhooks/7/log/12', token, 'large', 'right', 65_536],
  ['GET /api/events', token, 'usual', 'right', 65_536],
  ['GET /api/events/12', token, 'large', 'right', 65_536],
  ['GET /couplings', session, 'usual', 'whs_right', 262_144],
  ['GET /couplings', { cookie: '__Host-walhook_session=whs_right' }, 'usual', 'whs_right', 262_144],
  ['GET /couplings', { cookie: 'walhook_session=whs_invented' }, null, '192.0.2.1', 0],
  ['GET /couplings', { cookie: 'x-walhook_session=whs_right' }, null, '192.0.2.1', 0],
  ['GET /couplings/7/log', session, 'usual', 'whs_right', 262_144],
  ['GET /couplings/7/log/12', session, 'large', 'whs_right', 262_144],
  ['GET /events/12', session, 'large', 'whs_right', 262_144],
  ['POST /couplings/7/test', session, 'slow', 'whs_right', 262_144],
  ['POST /couplings/new', session, 'slow', 'whs_right', 262_144],
])('%s with %j needs a place of the kind %s for %s', (request, more, kind, key, maxBodyBytes) => {
  expect(of(request, more)).toMatchObject({ kind, key, maxBodyBytes })
})
